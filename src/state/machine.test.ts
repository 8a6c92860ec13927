import { describe, expect, test } from "@jest/globals";
import { checkAllowed, isAllowed, type Operation, type Status } from "./machine.ts";

const statuses: Status[] = ["creating", "created", "running", "paused", "stopped"];
const table: Record<Operation, Status[]> = {
  start: ["created"],
  exec: ["created", "running"],
  kill: ["created", "running", "paused"],
  delete: ["created", "stopped"],
  pause: ["created", "running"],
  resume: ["paused"],
  update: ["created", "running", "paused"],
  events: ["created", "running", "paused"],
  checkpoint: ["running", "paused"],
  explain: ["created", "running", "paused"],
};

describe("the state machine", () => {
  test.each(Object.entries(table))("%s is allowed in exactly these statuses", (operation, wanted) => {
    expect(statuses.filter((status) => isAllowed(operation as Operation, status))).toEqual(wanted);
  });

  test.each(Object.keys(table))("%s in another status says operation, id, why and from what", (operation) => {
    for (const status of statuses) {
      const check = () => checkAllowed(operation as Operation, "web", status);
      if (table[operation as Operation].includes(status)) {
        expect(check).not.toThrow();
        continue;
      }
      expect(check).toThrow(
        expect.objectContaining({
          code: "wrong-state",
          message: expect.stringMatching(new RegExp(`^${operation} web: .`)),
          advice: expect.stringContaining(`it is ${status}`),
        }),
      );
    }
  });

  test("the words that containerd's shim looks for", () => {
    expect(() => checkAllowed("kill", "web", "stopped")).toThrow("container not running");
  });
});
