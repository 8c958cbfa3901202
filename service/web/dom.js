// Small helpers for both pages. Text goes in as text, never as markup: file names, manifests and rows of the
// database are written by strangers.
import STRINGS from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";

/** The words for `key`, with `{name}` replaced by `values.name`. A key that is missing shows itself. */
export function say(key, values = {}) {
  const text = STRINGS[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** The words for `key`, or for `fallback` where there are none. */
export function sayOr(key, fallback) {
  return say(key in STRINGS ? key : fallback);
}

/** An element. `props` are attributes; `class` and `text` as one expects; false, null, undefined are left out. */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "text") made.textContent = value;
    else if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A list of terms with their values; a value may be a text or an element. Empty values are left out. */
export function terms(pairs) {
  const list = el("dl");
  for (const [term, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(el("dt", { text: term }), el("dd", {}, value));
  }
  return list;
}

// Shapes differ as well as colours: who sees no colour still tells the verdicts apart.
const ICONS = {
  upload: "M12 16V4m0 0L7 9m5-5 5 5M4 16v2a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-2",
  shield: "M12 3 5 6v5c0 4.6 2.9 8.2 7 10 4.1-1.8 7-5.4 7-10V6l-7-3Zm-3 9 2.2 2.2L15.5 10",
  recovered: "M4 12a8 8 0 1 0 2.6-5.9L4 8.5M4 4v4.5h4.5M9 12.2l2.2 2.2 4-4.2",
  seal: "M12 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11Zm-3.5-1.2L7 21l5-2.6 5 2.6-1.5-7.7",
  spark: "M12 3v4m0 10v4M3 12h4m10 0h4M12 8.5c.6 2.2 1.3 2.9 3.5 3.5-2.2.6-2.9 1.3-3.5 3.5-.6-2.2-1.3-2.9-3.5-3.5 2.2-.6 2.9-1.3 3.5-3.5Z",
  swap: "M4 8h14m0 0-4-4m4 4-4 4M20 16H6m0 0 4-4m-4 4 4 4",
  broken: "M12 4 2.8 20h18.4L12 4Zm0 6v5m0 2.4v.1",
  nothing: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM8.5 12h7",
  failed: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM9 9l6 6m0-6-6 6",
  check: "M5 12.5 10 17.5 19.5 7",
  cross: "M6.5 6.5l11 11m0-11-11 11",
  dash: "M6 12h12",
  mark: "M3 12c2.5-5 6-7 9-7s6.5 2 9 7c-2.5 5-6 7-9 7s-6.5-2-9-7Zm9 3a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z",
  auto: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17Zm0-17v17m3-16v15m3-12.5v10",
  light: "M12 16.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM12 2v2.5m0 15V22M2 12h2.5m15 0H22M4.9 4.9l1.8 1.8m10.6 10.6 1.8 1.8m0-14.2-1.8 1.8M6.7 17.3l-1.8 1.8",
  dark: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z",
  chevron: "m8 10 4 4 4-4",
};

/** A line drawing of 24 x 24 units that screen readers pass over. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", class: "icon", focusable: "false" })) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", ICONS[name] ?? ICONS.nothing);
  svg.append(path);
  return svg;
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  let power = 0;
  let left = count;
  while (left >= 1000 && power < units.length - 1) {
    left /= 1000;
    power += 1;
  }
  return `${left.toLocaleString(undefined, { maximumFractionDigits: power ? 1 : 0 })} ${units[power]}`;
}

/** Minutes and seconds: 0:04, 12:30. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function moment(text) {
  if (!text) return "";
  const date = new Date(text);
  if (Number.isNaN(date.valueOf())) return text;
  return el("time", { datetime: text, text: date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) });
}

/** Save `blob` under `name`. */
export function saveAs(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

/** Fetch with the key of this tab, and save: a plain link would carry no key. */
export async function download(address, name) {
  const answer = await fetch(address, { headers: apiKey.headers() });
  if (answer.ok) saveAs(await answer.blob(), name);
}

const THEMES = ["auto", "light", "dark"];

/** Light, dark, or what the system says; remembered in this browser. */
export function themeButton(button) {
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.replaceChildren(icon(theme), el("span", { class: "unseen", text: say(`theme.${theme}`) }));
    button.title = say(`theme.${theme}`);
  };
  let now = "auto";
  try {
    now = THEMES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto";
  } catch {
    // Storage may be forbidden; the choice then lasts until the page is left.
  }
  show(now);
  button.addEventListener("click", () => {
    now = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    show(now);
    try {
      localStorage.setItem("theme", now);
    } catch {
      // As above.
    }
  });
}

/** An API key kept for this tab alone. */
export const apiKey = {
  get: () => sessionStorage.getItem("key") ?? "",
  set: (key) => sessionStorage.setItem("key", key),
  headers: () => (apiKey.get() ? { authorization: `Bearer ${apiKey.get()}` } : {}),
};
