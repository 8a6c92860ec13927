/** A writer of SVG: elements as text, and the colours of all charts in light and in dark. */

/** Numbers with at most one digit behind the point, so that the same chart is always the same text. */
export type Attributes = Readonly<Record<string, string | number>>;

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, (found) => escapes[found] as string);
const value = (of: string | number): string =>
  typeof of === "string" ? escaped(of) : String(Math.round(of * 10) / 10);

function open(name: string, attributes: Attributes): string {
  return [name, ...Object.entries(attributes).map(([key, of]) => `${key}="${value(of)}"`)].join(" ");
}

/** An element; `children` are elements themselves. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  return children.length === 0
    ? `<${open(name, attributes)}/>`
    : `<${open(name, attributes)}>\n${children.join("\n")}\n</${name}>`;
}

/** A text; `anchor` says which of its ends is at x. */
export function text(x: number, y: number, content: string, anchor: "start" | "middle" | "end", kind = ""): string {
  const attributes = { x, y, "text-anchor": anchor, ...(kind === "" ? {} : { class: kind }) };
  return `<${open("text", attributes)}>${escaped(content)}</text>`;
}

export const line = (x1: number, y1: number, x2: number, y2: number, kind: string): string =>
  element("line", { x1, y1, x2, y2, class: kind });

/** Classes of the series, in their order; told apart in both schemes and by people who see few colours. */
export const SERIES = 6;
const light = ["#0072b2", "#d55e00", "#009e73", "#7f7f7f", "#b8b8b8", "#cc79a7"];
const dark = ["#56b4e9", "#e8853d", "#2cc295", "#9a9a9a", "#6b6b6b", "#e3a3c6"];

const colours = (list: readonly string[]): string =>
  list.map((colour, i) => `.s${i}{fill:${colour}}.l${i}{stroke:${colour}}`).join("");

/** A whole picture. `about` is what is read out in its place. */
export function picture(width: number, height: number, about: string, ...children: readonly string[]): string {
  const style = [
    "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:14px}.small{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:3px}",
    ".paper{fill:#fff}.grid{stroke:#d8dee4}.axis{stroke:#57606a}.whisker{stroke:#24292f}",
    ".budget{stroke:#cf222e;stroke-width:2}.curve{fill:none;stroke-width:2}",
    colours(light),
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{stroke:#0d1117}.paper{fill:#0d1117}.grid{stroke:#30363d}.axis{stroke:#8b949e}",
    ".whisker{stroke:#e6edf3}.budget{stroke:#ff7b72}",
    `${colours(dark)}}`,
  ].join("");
  return `${element(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${Math.round(width)} ${Math.round(height)}`, role: "img" },
    `<title>${escaped(about)}</title>`,
    `<style>${style}</style>`,
    element("rect", { width, height, class: "paper" }),
    ...children,
  )}\n`;
}
