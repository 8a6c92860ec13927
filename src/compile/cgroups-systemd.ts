/**
 * The container's cgroup as a scope of systemd (runc's "systemd" manager), on cgroup v2.
 *
 * After process.spawn: systemd makes a scope for processes that are there, and moves them. So the process cannot be born
 * in its cgroup, and limits and device rules come once it stands there; it waits for them at host-ready. First the cgroups
 * below the scope, since one that gives its children controllers takes no processes.
 * The files are written after systemd has written its own values: what they say is exact, and what it has no property for
 * is in them, too. Its properties keep it from undoing them.
 */

import { TsrunError } from "../core/errors.ts";
import type { HostStep } from "../plan/vocabulary.ts";
import { type Cgroups, delegateSteps, deviceSteps, mountsBlockDevice } from "./cgroups.ts";
import type { CompileInput } from "./input.ts";
import type { Place } from "./kill.ts";
import { resourceSteps } from "./resources.ts";
import { annotatedProperties, subgroups } from "./systemd-annotations.ts";
import { resourceProperties } from "./systemd-properties.ts";
import { expandSlice, type SystemdUnit, startUnit, type UnitProperty, unitName } from "./systemd-unit.ts";

/** The controllers that systemd gives a delegated unit. */
const DELEGATED = ["cpuset", "cpu", "io", "memory", "pids"];

const yes = (name: string): UnitProperty => ({ name, signature: "b", value: true });
const text = (name: string, value: string): UnitProperty => ({ name, signature: "s", value });

/** Throws `config` or `unsupported`, naming the property. */
export function compileSystemdCgroups(input: Pick<CompileInput, "id" | "config" | "facts">): Cgroups {
  const { id, config, facts } = input;
  const { systemd: manager } = facts;
  const { resources = {}, cgroupsPath } = config.linux ?? {};
  const warnings: string[] = [];
  const hierarchy = facts.cgroup.mode === "v2" ? facts.cgroup.hierarchies[0] : undefined;
  if (manager === undefined) {
    throw new TsrunError("unsupported", "--systemd-cgroup: systemd does not run here", {
      advice: "leave the option away: tsrun makes cgroups itself then (the cgroupfs driver)",
    });
  }
  if (hierarchy === undefined) {
    throw new TsrunError(
      "unsupported",
      `--systemd-cgroup: it needs cgroup v2, and this host has ${facts.cgroup.mode}`,
      {
        advice: "boot with systemd.unified_cgroup_hierarchy=1, or leave the option away (the cgroupfs driver)",
      },
    );
  }
  const { slice, unit: name } = unitName(cgroupsPath, id, manager.user);
  const unit: SystemdUnit = { name, managers: manager.managers, buses: manager.buses };
  const scope = `${manager.cgroup}${expandSlice(slice)}/${name}`;
  const [own, delegated] = subgroups(config.annotations);
  const place: Place = {
    hierarchy: hierarchy.mountPoint,
    path: own === undefined ? scope : `${scope}/${own}`,
    version: 2,
    controllers: hierarchy.controllers,
    created: true,
  };

  const { limits, processLimits, needed } = resourceSteps(resources, [place]);
  const devices = deviceSteps(resources, [place], manager.user, warnings);
  const lateDevices = mountsBlockDevice(config);
  return {
    before: [],
    spawnSlot: null,
    join: [
      startUnit(unit, [
        text("Description", `container ${id}`),
        text("Slice", slice),
        yes("Delegate"),
        ...["CPUAccounting", "MemoryAccounting", "IOAccounting", "TasksAccounting"].map(yes),
        // No ordering against the system's units: a container may be made at any time, also while the machine goes down.
        { name: "DefaultDependencies", signature: "b", value: false },
        // One that has failed (a process was killed for want of memory) does not stay behind under its name.
        text("CollectMode", "inactive-or-failed"),
        ...resourceProperties(resources),
        ...annotatedProperties(config.annotations),
      ]),
      ...(own === undefined ? [] : enter(place.hierarchy, place.path)),
      {
        kind: "cgroup.adopt",
        hierarchy: place.hierarchy,
        path: place.path,
        controllers: own === undefined ? needed : [...new Set([...DELEGATED, ...needed])],
        needed,
      },
      ...limits,
      ...(lateDevices ? [] : devices),
      ...delegateSteps(input, place),
      ...processLimits,
    ],
    // With a cgroup namespace: its root is the cgroup with the limits, and it is unshared by then.
    afterMounts: [
      ...(lateDevices ? devices : []),
      ...(delegated === undefined ? [] : enter(place.hierarchy, `${place.path}/${delegated}`)),
    ],
    places: [place],
    systemd: unit,
    warnings,
  };
}

/** Makes a cgroup below the scope and moves the container's process into it. */
function enter(hierarchy: string, path: string): HostStep[] {
  return [
    { kind: "cgroup.create", hierarchy, path, cpuset: false, controllers: [], needed: [] },
    { kind: "cgroup.join", hierarchy, path, fallback: "" },
  ];
}
