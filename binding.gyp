{
  # Which files a program gets, by name: *_host.cc the addon only, *_init.cc tsrun-init only, *_test.cc and *_fuzz.cc
  # neither, everything else both; addon/extract/ is the addon's. Adding a file needs no change here.
  "variables": {
    "tsrun_flags": [
      "-std=c++20", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wshadow", "-Werror",
      "-fno-strict-aliasing", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-O2"
    ],
    "tsrun_drop": ["-std=gnu++17", "-std=gnu++20", "-std=c++17", "-O3", "-fno-omit-frame-pointer"],
    "openssl_fips": "",
    "library_files": []
  },
  "targets": [
    {
      "target_name": "tsrun",
      "sources": [
        "addon/binding/addon.cc",
        "<!@(ls addon/base/*.cc addon/exec/*.cc addon/extract/*.cc addon/steps/*.cc 2>/dev/null | grep -v -e _init.cc -e _test.cc -e _fuzz.cc)"
      ],
      "include_dirs": ["."],
      "defines": ["NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc": ["<@(tsrun_flags)", "-isystem", "<!(node -p \"require('path').resolve(require('node-addon-api').include_dir)\")"],
      "cflags_cc!": ["<@(tsrun_drop)"],
      "libraries": ["<!@(node scripts/find-libseccomp.mjs)"],
      "ldflags": ["-s"]
    },
    {
      "target_name": "tsrun-init",
      "type": "executable",
      "sources": [
        "addon/init/main.cc",
        "<!@(ls addon/base/*.cc addon/exec/*.cc addon/steps/*.cc 2>/dev/null | grep -v -e _host.cc -e _test.cc -e _fuzz.cc)"
      ],
      "include_dirs": ["."],
      "cflags_cc": ["<@(tsrun_flags)", "-Os", "-ffunction-sections", "-fdata-sections"],
      "cflags_cc!": ["<@(tsrun_drop)", "-fPIC"],
      "ldflags": ["-static", "-no-pie", "-s", "-Wl,--gc-sections"],
      "ldflags!": ["-rdynamic"]
    },
    {
      "target_name": "tsrun-launcher",
      "type": "executable",
      "sources": ["addon/launcher/main.cc"],
      "include_dirs": ["."],
      "cflags_cc": ["<@(tsrun_flags)", "-Os", "-ffunction-sections"],
      "cflags_cc!": ["<@(tsrun_drop)", "-fPIC"],
      "ldflags": ["-static", "-no-pie", "-s", "-Wl,--gc-sections"],
      "ldflags!": ["-rdynamic"]
    }
  ]
}
