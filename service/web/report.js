// One report as a page: verdict, lanes of evidence, timeline, explanations, manifest tree, record, data.
import { bytes, clock, download, el, icon, moment, say, sayOr, terms } from "./dom.js";

/** Icon and tone of each verdict. Tones: good, plain, note, bad. */
const LOOKS = {
  made_here: ["shield", "good"],
  made_here_manifest_recovered: ["recovered", "good"],
  signed_by_other: ["seal", "note"],
  claims_ai_generated: ["spark", "note"],
  transplanted_mark: ["swap", "bad"],
  tampered: ["broken", "bad"],
  no_evidence: ["nothing", "plain"],
};

export const look = (verdict) => LOOKS[verdict] ?? ["broken", "warn"];
export const verdictWords = (verdict) => sayOr(`verdict.${verdict}`, "verdict.unknown");

/** The body of a card: everything that is known of one file. */
export function reportBody(report) {
  return [
    el("p", { class: "means", text: sayOr(`means.${report.verdict}`, "means.unknown") }),
    lanes(report),
    timeline(report),
    regions(report),
    explanations(report.explain ?? []),
    record(report),
    manifest(report.c2pa),
    data(report),
  ].filter(Boolean);
}

export function badge(verdict) {
  const [shape, tone] = look(verdict);
  return el("span", { class: `badge ${tone}` }, icon(shape), el("span", { text: verdictWords(verdict) }));
}

function section(title, ...children) {
  return el("section", { class: "part" }, el("h3", { text: title }), ...children);
}

// Lanes

function lanes(report) {
  const list = el("ul", { class: "lanes" });
  for (const [name, [state, tone, detail]] of [
    ["mark", markLane(report.watermark, onlyPart(report))],
    ["credentials", credentialsLane(report.c2pa)],
    ["record", recordLane(report.registry)],
    ["likeness", likenessLane(report.fingerprint)],
  ]) {
    const shape = { good: "check", note: "check", bad: "cross", warn: "broken", plain: "dash" }[tone];
    list.append(
      el(
        "li",
        { class: tone },
        el("h3", { text: say(`lane.${name}`) }),
        el("p", { class: "lane-state" }, icon(shape), el("span", { text: state })),
        detail ? el("p", { class: "lane-detail" }, detail) : null,
      ),
    );
  }
  return list;
}

/** Text in which powers of ten, 10^-12, are raised. */
function withPowers(text) {
  const made = document.createDocumentFragment();
  for (const [at, part] of text.split(/(10\^[-\u2212]?\d+)/).entries()) {
    if (at % 2) made.append("10", el("sup", { text: part.slice(3).replace("-", "\u2212") }));
    else made.append(part);
  }
  return made;
}

function markLane(mark, partial) {
  const chance = mark?.log10_p < 0 ? withPowers(say("lane.chance", { power: Math.round(mark.log10_p) })) : "";
  if (mark?.found) return [say(partial ? "lane.part" : "lane.found"), "good", chance];
  if (partial) return [say("lane.part"), "good", withPowers(say("lane.chance", { power: Math.round(partial.log10_p) }))];
  if (mark?.band === "inconclusive") return [say("lane.weak"), "warn", chance];
  return [say("lane.absent"), "plain", ""];
}

function credentialsLane(c2pa) {
  const who = c2pa?.signer?.organisation || c2pa?.signer?.common_name || "";
  if (c2pa?.is_ours) return [say("lane.ours"), "good", c2pa.own_authority ? say("lane.development_note") : who];
  switch (c2pa?.state) {
    case "trusted":
      return [say("lane.trusted"), c2pa.names_ours ? "bad" : "good", who];
    case "valid":
      if (c2pa.own_authority) return [say("lane.development"), "note", say("lane.development_note")];
      return [say("lane.untrusted"), c2pa.names_ours ? "bad" : "note", who];
    case "invalid":
      return [say("lane.broken"), "bad", who];
    case "unsupported":
      return [say("lane.unsupported"), "warn", ""];
    default:
      return [say("lane.absent"), "plain", ""];
  }
}

function recordLane(registry) {
  if (!registry?.found) return [say("lane.absent"), "plain", ""];
  if (registry.revoked_at) return [say("lane.revoked"), "warn", moment(registry.revoked_at)];
  return [say("lane.found"), "good", moment(registry.created_at)];
}

function likenessLane(fingerprint) {
  if (!fingerprint) return [say("lane.unclear"), "plain", say("lane.none")];
  const views = say("lane.of", {
    agree: Math.round(fingerprint.share * fingerprint.compared),
    all: fingerprint.compared,
  });
  if (fingerprint.match === "match") return [say("lane.agrees"), "good", views];
  if (fingerprint.match === "mismatch") return [say("lane.differs"), "bad", views];
  return [say("lane.unclear"), "plain", fingerprint.compared ? views : ""];
}

/** The strongest marked part, where the mark is not all over. */
function onlyPart(report) {
  const { parts, coverage } = report;
  return parts?.length && (coverage.time < 0.9 || coverage.area < 0.8) ? parts[0] : null;
}

// Timeline: which seconds of a clip carry which mark

/** Spans that cover the clip from end to end, the unmarked ones included. */
export function spans(parts, length) {
  const sorted = [...parts].sort((one, other) => one.start - other.start);
  const whole = [];
  let at = 0;
  for (const part of sorted) {
    const start = Math.max(at, part.start);
    const end = Math.min(length, part.end);
    if (end <= start) continue;
    if (start > at) whole.push({ start: at, end: start, id: null });
    whole.push({ ...part, start, end });
    at = end;
  }
  if (at < length) whole.push({ start: at, end: length, id: null });
  return whole;
}

function timeline(report) {
  const length = report.media?.seconds ?? 0;
  const parts = (report.parts ?? []).filter((part) => part.end > part.start);
  if (!length || !parts.length) return null;
  const whole = spans(parts, length);
  const main = report.watermark?.id ?? parts[0].id;
  const track = el("ol", { class: "track" });
  let marked = 0;
  for (const part of whole) {
    const kind = !part.id ? "none" : part.id === main ? "ours" : "other";
    if (part.id) marked += part.end - part.start;
    const what = part.id ? `${say(`timeline.${kind}`)}, ${part.id}` : say("timeline.none");
    const words = say("timeline.part", { start: clock(part.start), end: clock(part.end), what });
    const item = el("li", { class: kind, title: words }, el("span", { class: "unseen", text: words }));
    item.style.flexGrow = String(part.end - part.start);
    track.append(item);
  }
  const kinds = [...new Set(whole.map((part) => (!part.id ? "none" : part.id === main ? "ours" : "other")))];
  const legend = el("ul", { class: "legend", "aria-hidden": "true" });
  for (const kind of kinds) legend.append(el("li", { class: kind, text: say(`timeline.${kind}`) }));
  return section(
    say("timeline.title"),
    el("p", { text: say("timeline.summary", { share: Math.round((100 * marked) / length), length: clock(length) }) }),
    track,
    el("p", { class: "ends", "aria-hidden": "true" }, el("span", { text: clock(0) }), el("span", { text: clock(length) })),
    legend,
  );
}

/** Which regions of the picture carry which mark, drawn to scale, and whether they show what was recorded. */
function regions(report) {
  const { width, height } = report.media ?? {};
  if (!onlyPart(report) || !width) return null;
  const main = report.watermark?.id ?? report.parts[0].id;
  const frame = el("div", { class: "regions", "aria-hidden": "true" });
  frame.style.aspectRatio = `${width} / ${height}`;
  const list = el("ul", { class: "region-list" });
  const area = ({ box }) => (box.right - box.left) * (box.bottom - box.top);
  const largestFirst = [...report.parts].sort((one, other) => area(other) - area(one)); // the smaller lie on top
  for (const part of largestFirst) {
    const kind = part.id === main ? "ours" : "other";
    const { left, top, right, bottom } = part.box;
    const drawn = el("span", { class: kind });
    const places = { left: left / width, top: top / height, width: (right - left) / width, height: (bottom - top) / height };
    for (const [side, share] of Object.entries(places)) drawn.style[side] = `${100 * share}%`;
    frame.append(drawn);
    const found = { match: "timeline.matches", mismatch: "timeline.mismatches" }[part.match] ?? "timeline.uncompared";
    const when = part.end > part.start ? `${clock(part.start)}–${clock(part.end)}: ` : "";
    list.append(
      el("li", { class: kind }, code(part.id), ` ${when}${say("timeline.region", { left, top, right, bottom })}, ${say(found)}`),
    );
  }
  return section(say("timeline.regions"), frame, list);
}

// Explanations

function explanations(lines) {
  if (!lines.length) return null;
  const list = el("ul", { class: "facts" });
  for (const line of lines) {
    list.append(
      el(
        "li",
        {},
        el("p", { class: "fact" }, withPowers(line.fact)),
        el(
          "dl",
          {},
          el("div", { class: "shows" }, el("dt", {}, icon("check"), say("explain.shows")), el("dd", { text: line.means })),
          el("div", { class: "not" }, el("dt", {}, icon("dash"), say("explain.not")), el("dd", { text: line.does_not_prove })),
        ),
      ),
    );
  }
  return section(say("explain.title"), list);
}

// Manifest tree

function manifest(c2pa) {
  if (!c2pa || c2pa.state === "absent" || (!c2pa.label && !c2pa.signer)) {
    const text = c2pa?.remote_url ? say("manifest.elsewhere", { url: c2pa.remote_url }) : say("manifest.none");
    return section(say("manifest.title"), el("p", { class: "faint", text }));
  }
  const root = branch(c2pa.title || say("manifest.untitled"), c2pa.signer?.organisation, [
    terms([
      [say("manifest.signer"), [c2pa.signer?.organisation, c2pa.signer?.common_name].filter(Boolean).join(", ")],
      [say("manifest.signed_at"), moment(c2pa.signer?.signed_at)],
      [say("manifest.algorithm"), c2pa.signer?.algorithm],
      [say("manifest.serial"), code(c2pa.signer?.serial)],
      [say("manifest.generator"), c2pa.generator],
      [say("manifest.source"), c2pa.ai_source_type],
      [say("manifest.label"), code(c2pa.label)],
    ]),
    problems(c2pa.failures),
    group("actions", c2pa.actions, action),
    group("bindings", c2pa.bindings, binding),
    group("ingredients", c2pa.ingredients, ingredient),
  ], true);
  return section(say("manifest.title"), el("div", { class: "tree" }, root));
}

const code = (text) => (text ? el("code", { text }) : "");

function branch(title, note, children, open) {
  return el(
    "details",
    { open },
    el("summary", {}, icon("chevron"), el("span", { class: "name", text: title }), note ? el("span", { class: "faint", text: note }) : null),
    el("div", { class: "inside" }, ...children.filter(Boolean)),
  );
}

function group(name, items, show) {
  if (!items?.length) return null;
  return branch(say(`manifest.${name}`), String(items.length), items.map(show), name === "actions");
}

function action(item) {
  const words = item.agent ? say("manifest.by", { action: item.action, agent: shortened(item.agent) }) : item.action;
  return el(
    "div",
    { class: "leaf" },
    el("p", { text: words }),
    item.source_type || item.when
      ? el("p", { class: "faint" }, [item.source_type, item.when].filter(Boolean).join(" · "))
      : null,
  );
}

function binding(item) {
  return el("div", { class: "leaf" }, el("p", {}, code(item.id ?? item.value)), el("p", { class: "faint", text: item.alg }));
}

function ingredient(item) {
  return branch(item.title || say("manifest.untitled"), item.relationship, [
    terms([
      [say("manifest.generator"), item.generator],
      [say("manifest.source"), item.ai_source_type],
      [say("manifest.label"), code(item.label)],
    ]),
    problems(item.failures),
    ...(item.ingredients ?? []).map(ingredient),
  ]);
}

/** Failures that leave the binding between manifest and file alone. */
const ABOUT_SIGNER = /^(signingCredential|timeStamp|cawg)\./;

function problems(failures) {
  if (!failures?.length) return null;
  const list = el("ul", { class: "problems" });
  for (const failure of failures) {
    list.append(el("li", { class: ABOUT_SIGNER.test(failure.code) ? "warn" : "bad" }, icon("broken"), el("span", {}, failure.meaning, " ", code(failure.code))));
  }
  return list;
}

// Record

const SHORT = 24;

/** Words longer than a reader wants, such as digests, end in an ellipsis; the data below has them whole. */
const shortened = (text) => text.replace(/\S{40,}/g, (word) => `${word.slice(0, SHORT)}…`);

function versioned(name, version) {
  return el("span", {}, name ?? "", " ", code(version ? shortened(version) : ""));
}

function record(report) {
  const found = report.registry;
  if (!found?.found) return null;
  const recovered = found.manifest_recovered;
  const facts = terms([
    [say("record.id"), code(found.id)],
    [say("record.created"), moment(found.created_at)],
    [say("record.model"), found.model ? versioned(found.model.name, found.model.version) : ""],
    [say("record.policy"), found.policy ? versioned(found.policy.id, found.policy.version) : ""],
    [say("record.tenant"), found.tenant],
    [say("record.revoked"), moment(found.revoked_at)],
    [say("record.label"), code(found.manifest_label)],
  ]);
  if (!recovered) return section(say("record.title"), facts);
  const get = () => download(`/v1/manifests/${encodeURIComponent(found.manifest_label)}`, `${found.id}.c2pa`);
  const button = el("button", { type: "button", class: "quiet-button", text: say("record.get"), click: get });
  const part = section(say("record.recovered"), el("p", { text: say("record.recovered_note") }), facts, button);
  part.classList.add("recovered");
  return part;
}

// File and data

function data(report) {
  const { media = {}, watermark = {} } = report;
  const placed = watermark.geometry;
  const json = el("pre", { tabindex: "0", "aria-label": say("data.json"), text: JSON.stringify(report, null, 2) });
  return section(
    say("data.title"),
    terms([
      [say("data.type"), media.mime],
      [say("data.size"), media.bytes === undefined ? "" : bytes(media.bytes)],
      [say("data.pixels"), media.width ? `${media.width} x ${media.height}` : ""],
      [say("data.length"), media.seconds ? clock(media.seconds) : ""],
      [say("data.frames"), watermark.frames_read ? String(watermark.frames_read) : ""],
      [say("data.key"), watermark.key_id],
      [say("data.geometry"), placed ? geometry(placed) : ""],
      [say("data.judged"), moment(report.judged_at)],
      [say("data.problem"), media.problem],
    ]),
    branch(say("data.json"), "", [json]),
  );
}

function geometry(placed) {
  const turned = Math.abs(placed.rotation_degrees) >= 0.5 ? say("data.turned", { angle: placed.rotation_degrees }) : "";
  return [turned, placed.mirrored ? say("data.mirrored") : ""].filter(Boolean).join(", ");
}
