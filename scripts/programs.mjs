/**
 * The programs in dist/ that main.cjs chooses from. Starting one costs what V8 must read of it, whatever is run of it then, so the
 * commands that engines call all day have programs without the rest. All are made from the same sources, and each is whole: the
 * first one serves that has every command that the arguments name (an argument that happens to be called like a command makes it
 * slower, not wrong).
 */
const control = ["state", "start", "kill", "delete", "list", "ps", "pause", "resume"];

/** Options that make another command of one, by the module in src/cli/commands that they load; they count as names of commands. */
export const variants = { "--image": "run-image" };

export const programs = [
  { file: "control.cjs", commands: control },
  { file: "container.cjs", commands: [...control, "create", "run", "exec"] },
  { file: "tsrun.cjs", commands: "all" },
];
