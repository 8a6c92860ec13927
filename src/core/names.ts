/** The gate's socket in a container's state directory (docs/decisions/0002-gate-socket.md). */
export const GATE_NAME = "gate";

/** What a container's process is called until it executes its program (PR_SET_NAME in addon/init/main.cc). */
export const INIT_NAME = "tsrun-init";

/** Directory in a container's state directory that is bound into the container, and the socket that start makes in it. */
export const NOTIFY_DIRECTORY = "notify";
export const NOTIFY_NAME = "notify.sock";
