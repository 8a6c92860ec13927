{
  # The least that node-gyp wants of a Node source tree: headers come from node-api-headers, so that no build downloads any.
  "variables": { "configuring_node": 0, "clang": 0, "node_shared%": "false", "v8_enable_pointer_compression%": 0 },
  "target_defaults": {
    "default_configuration": "Release",
    "cflags": ["-pthread"],
    "ldflags": ["-pthread"],
    "configurations": { "Release": {}, "Debug": {} },
    "target_conditions": [["_type=='loadable_module' or _type=='shared_library'", { "cflags": ["-fPIC"] }]]
  }
}
