/**
 * From what the probe and the kernel say to facts that can be compared: a key and a text each, without what differs from run
 * to run (mount ids, pids, times, inode numbers).
 */

export type Facts = Record<string, string>;

/** The probe's lines: KEY TAB VALUE. Undefined when its last line is not there. */
export function parseProbe(output: string): Facts | undefined {
  const facts: Facts = {};
  // A terminal says the end of a line in its own way.
  for (const line of output.replaceAll("\r", "").split("\n")) {
    const tab = line.indexOf("\t");
    if (tab < 0) continue;
    facts[line.slice(0, tab)] = line
      .slice(tab + 1)
      .replace(/\\[nt\\]/g, (found) => ({ "\\n": "\n", "\\t": "\t", "\\\\": "\\" })[found] as string);
  }
  if (!("end" in facts)) return undefined;
  delete facts.end;
  return facts;
}

const STATUS =
  /^(Umask|NoNewPrivs|Seccomp|Seccomp_filters|SigBlk|SigIgn|SigCgt|ShdPnd|Cpus_allowed_list|Mems_allowed_list|CoreDumping|THP_enabled|TracerPid|Threads|Speculation.*|x86_Thread.*|NSpid|NSsid|NSpgid)$/;

/** Facts of the inside, from the probe's output. */
export function insideFacts(raw: Facts): Facts {
  const facts: Facts = {};
  for (const [key, value] of Object.entries(raw)) {
    if (!key.startsWith("file:")) {
      facts[key] = key.startsWith("fd/") ? value.replace(/:\[\d+\]$/, "").replace(/anon_inode:\S+$/, "") : value;
      continue;
    }
    const path = key.slice("file:".length);
    switch (path) {
      case "/proc/self/status":
        for (const line of value.split("\n")) {
          const [, name, text] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
          if (name === undefined || text === undefined || !STATUS.test(name)) continue;
          // How deep it is nested and whether it is first there; numbers are the kernel's choice.
          facts[`status/${name}`] = name.startsWith("NS") ? text.replace(/\b(?!1\b)\d+/g, "n") : text;
        }
        break;
      case "/proc/self/mountinfo":
        Object.assign(facts, mountFacts(value));
        break;
      case "/proc/self/cgroup":
        Object.assign(facts, cgroupFacts("cgroup of", value));
        break;
      case "/proc/self/stat": {
        // proc_pid_stat(5), from the state (field 3) on.
        const fields = value.replace(/^.*\) /s, "").split(" ");
        facts["stat/tty"] = fields[4] === "0" ? "none" : "one";
        break;
      }
      case "/proc/self/autogroup":
        facts[path] = value.replace(/^\/autogroup-\d+/, "");
        break;
      case "/proc/keys":
        // Others' keyrings come and go.
        facts[path] = value === "" ? "empty" : value.startsWith("!") ? value : "of the host";
        break;
      default:
        facts[path] = value.trim().replace(/[ \t]+/g, " ");
    }
  }
  const pid = facts["process/pid"];
  if (pid !== undefined && pid !== "1") facts["process/pid"] = "another";
  return facts;
}

/** A key for each mount: its place, and #2, #3 … for those on top of others. */
export function mountFacts(mountinfo: string): Facts {
  const facts: Facts = {};
  for (const line of mountinfo.split("\n")) {
    if (line === "") continue;
    const fields = line.split(" ");
    const separator = fields.indexOf("-");
    const [root = "", target = "", options = ""] = fields.slice(3, 6);
    const [type = "", source = "", superOptions = ""] = fields.slice(separator + 1);
    const propagation = fields
      .slice(6, separator)
      .map((field) => field.replace(/:\d+$/, ""))
      .sort();
    let key = `mount/${target}`;
    for (let n = 2; key in facts; n++) key = `mount/${target} #${n}`;
    facts[key] = [
      `${type} from ${source}, root ${root}`,
      options.split(",").sort().join(","),
      propagation.length === 0 ? "private" : propagation.join(","),
      // How large an unlimited tmpfs is follows from the machine's memory; the host's own numbers do not count.
      superOptions.split(",").sort().join(","),
    ].join("; ");
  }
  return facts;
}

/** Where a process is, by controller. */
export function cgroupFacts(prefix: string, text: string): Facts {
  const facts: Facts = {};
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers !== undefined && path !== undefined)
      facts[`${prefix}/${controllers === "" ? "v2" : controllers}`] = path;
  }
  return facts;
}

/** state's JSON, a key a property. */
export function stateFacts(prefix: string, json: string): Facts {
  const facts: Facts = {};
  const walk = (key: string, value: unknown): void => {
    if (value !== null && typeof value === "object") {
      for (const [name, inner] of Object.entries(value)) walk(`${key}/${name}`, inner);
      return;
    }
    const name = key.slice(prefix.length + 1);
    if (/(^|\/)pid$/.test(name)) facts[key] = Number(value) > 0 ? "a pid" : String(value);
    else if (name === "created") facts[key] = Number.isNaN(Date.parse(String(value))) ? String(value) : "a time";
    else facts[key] = String(value);
  };
  walk(prefix, JSON.parse(json));
  return facts;
}
