/**
 * JSON as config.json needs it: integers of 64 bits keep every digit, and a problem can be traced to its line and column.
 * The hot path is JSON.parse; the scanner runs only for large integers (rarely) and to place problems.
 */

/** One step of the way to a value: a property name or an index. */
export type PathSegment = string | number;

/** 1-based, columns in UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";
  readonly found: string;
  readonly wanted: string;
  readonly offset: number;
  constructor(found: string, wanted: string, offset: number) {
    super(`${found}, wanted ${wanted}`);
    this.found = found;
    this.wanted = wanted;
    this.offset = offset;
  }
}

/** A character as a message shows it: also one that cannot be seen, such as a byte order mark. */
const shown = (character: string): string =>
  JSON.stringify(character).replace(
    /[^\x20-\x7e]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** Deeper nesting than any configuration has; keeps the recursive scanner off the end of the stack. */
const MAX_DEPTH = 200;

interface Visitor {
  value?(path: readonly PathSegment[], start: number, end: number): void;
  key?(path: readonly PathSegment[], start: number): void;
}

/** Walks a JSON text, calling the visitor with the offsets of each value and key. Throws JsonSyntaxError. */
function scan(text: string, visitor: Visitor): void {
  let at = 0;
  const path: PathSegment[] = [];
  const fail = (what: string): never => {
    throw new JsonSyntaxError(
      at >= text.length ? "unexpected end of the file" : `unexpected ${shown(text[at] as string)}`,
      what,
      at,
    );
  };
  const space = (): void => {
    while (at < text.length && " \t\r\n".includes(text[at] as string)) at++;
  };
  const string = (): string => {
    const start = at;
    if (text[at] !== '"') fail("a string");
    for (at++; text[at] !== '"'; at++) {
      if (at >= text.length || text.charCodeAt(at) < 0x20) fail("the end of a string");
      if (text[at] === "\\") at++;
    }
    at++;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      throw new JsonSyntaxError("a bad escape", "a string", start);
    }
  };
  const value = (): void => {
    if (path.length > MAX_DEPTH) throw new JsonSyntaxError("a deeper nesting", `at most ${MAX_DEPTH} levels`, at);
    space();
    const start = at;
    const first = text[at];
    if (first === "{") {
      at++;
      space();
      if (text[at] === "}") at++;
      else {
        for (;;) {
          space();
          const keyStart = at;
          const name = string();
          path.push(name);
          visitor.key?.(path, keyStart);
          space();
          if (text[at] !== ":") fail('":"');
          at++;
          value();
          path.pop();
          space();
          if (text[at] === ",") at++;
          else if (text[at] === "}") break;
          else fail('"," or "}"');
        }
        at++;
      }
    } else if (first === "[") {
      at++;
      space();
      if (text[at] === "]") at++;
      else {
        for (let i = 0; ; i++) {
          path.push(i);
          value();
          path.pop();
          space();
          if (text[at] === ",") at++;
          else if (text[at] === "]") break;
          else fail('"," or "]"');
        }
        at++;
      }
    } else if (first === '"') {
      string();
    } else {
      const token = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/.exec(text.slice(at, at + 400));
      if (token === null) fail("a value");
      else at += token[0].length;
    }
    visitor.value?.(path, start, at);
  };
  value();
  space();
  if (at < text.length) fail("the end of the file");
}

const MAYBE_LARGE = /[^"\d.eE+-]-?\d{16,}\s*[,}\]]/;

/**
 * JSON.parse, but integers that a number cannot hold exactly come as bigints. Throws JsonSyntaxError with the offset.
 */
export function parseJson(text: string): unknown {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    scan(text, {}); // says where
    throw new JsonSyntaxError("something else", "JSON", 0);
  }
  if (!MAYBE_LARGE.test(text)) return parsed;
  scan(text, {
    value(path, start, end) {
      const token = text.slice(start, end);
      if (!/^-?\d{16,}$/.test(token)) return;
      const exact = BigInt(token);
      if (exact >= BigInt(Number.MIN_SAFE_INTEGER) && exact <= BigInt(Number.MAX_SAFE_INTEGER)) return;
      let holder = parsed as Record<PathSegment, unknown>;
      for (const segment of path.slice(0, -1)) holder = holder[segment] as Record<PathSegment, unknown>;
      const last = path.at(-1);
      if (last === undefined) parsed = exact;
      // Not by assignment: "__proto__" is an own property after JSON.parse.
      else Object.defineProperty(holder, last, { value: exact, enumerable: true, configurable: true, writable: true });
    },
  });
  return parsed;
}

/** Line and column of an offset. */
export function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}

/** JSON pointer (RFC 6901) of a path. */
export function pointerOf(path: readonly PathSegment[]): string {
  return path.map((segment) => `/${String(segment).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** Positions of all values of a text by pointer: of the key for a property, of the value otherwise. */
export function positionsOf(text: string): ReadonlyMap<string, Position> {
  const positions = new Map<string, Position>();
  scan(text, {
    key(path, start) {
      positions.set(pointerOf(path), positionAt(text, start));
    },
    value(path, start) {
      const pointer = pointerOf(path);
      if (typeof path.at(-1) !== "string") positions.set(pointer, positionAt(text, start));
    },
  });
  return positions;
}
