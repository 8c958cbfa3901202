// The operators' page: queue, decisions, appeals, marks. Reads /v1/admin with an administrator's key, which
// stays in this tab.
import { apiKey, el, icon, moment, say, sayOr, terms, themeButton } from "./dom.js";

const byId = (id) => document.getElementById(id);
const REFRESH_MS = 5000;
const PAGE = 25;

class Refused extends Error {}

async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, { ...options, headers: { ...apiKey.headers(), ...options.headers } });
  } catch {
    throw new Error(say("say.no_answer"));
  }
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  if (answer.status === 401 || answer.status === 403) throw new Refused(body.detail);
  throw Object.assign(new Error(body.detail ?? say("say.no_answer")), { status: answer.status });
}

// Tables

/** Columns are [key of the heading, cell of a row]. Rows with `more` open to show it. */
function table(caption, columns, rows, more) {
  if (!rows.length) return el("p", { class: "faint", text: say("operators.none") });
  const head = el("tr", {}, ...columns.map(([name]) => el("th", { scope: "col", text: say(`column.${name}`) })));
  if (more) head.append(el("th", { scope: "col" }, el("span", { class: "unseen", text: say("column.more") })));
  const body = el("tbody");
  for (const row of rows) {
    const cells = columns.map(([name, cell]) => el("td", { "data-label": say(`column.${name}`) }, cell(row)));
    const line = el("tr", {}, ...cells);
    body.append(line);
    if (more) line.append(el("td", { class: "more" }, opener(row, line, columns.length + 1, more)));
  }
  return el("div", { class: "scroll" }, el("table", {}, el("caption", { class: "unseen", text: caption }), el("thead", {}, head), body));
}

function opener(row, line, width, more) {
  const button = el("button", { type: "button", class: "icon-button", "aria-expanded": "false", "aria-label": say("operators.show", { id: row.id }) }, icon("chevron"));
  let detail = null;
  button.addEventListener("click", () => {
    if (detail) detail.remove();
    detail = detail ? null : el("tr", { class: "detail" }, el("td", { colspan: width }, more(row)));
    if (detail) line.after(detail);
    button.setAttribute("aria-expanded", String(detail !== null));
  });
  return button;
}

const code = (text) => (text ? el("code", { text: String(text) }) : "");
const TONES = { live: "good", missing: "bad", completed: "good", allow: "good", in_progress: "note", queued: "plain", failed: "bad", block: "bad", deny: "bad", stands: "good", workers: "good", no_workers: "bad" };
const SHAPES = { good: "check", bad: "cross", warn: "broken", note: "spark", plain: "dash" };

function chip(state, words = sayOr(`chip.${state}`, String(state))) {
  const tone = TONES[state] ?? "warn";
  return el("span", { class: `chip ${tone}` }, icon(SHAPES[tone]), el("span", { text: words }));
}

/** Which promises can be kept now, and a notice for each that cannot. */
async function stages() {
  const answer = await fetch("/readyz").then((found) => found.json()).catch(() => null);
  if (!answer?.stages) return el("p", { class: "notice", role: "alert", text: say("say.no_answer") });
  const all = Object.entries(answer.stages);
  return el(
    "div",
    {},
    el("ul", { class: "stages", "aria-label": say("operators.stages") }, ...all.map(([name, { live }]) => el("li", {}, chip(live ? "live" : "missing", name)))),
    ...all.filter(([, { live }]) => !live).map(([stage, { detail }]) => el("p", { class: "notice", text: say("operators.not_live", { stage, detail }) })),
  );
}

/** A list with filters and a button for the next page. `load(parameters)` answers {data, next}. */
function list(fields, load, show) {
  const rows = el("div");
  const further = el("button", { type: "button", class: "quiet-button", text: say("operators.further"), hidden: true });
  const form = el("form", { class: "filters" });
  for (const [name, options] of fields) {
    const id = `filter-${name}-${Math.random().toString(36).slice(2, 8)}`;
    const field = options
      ? el("select", { id, name }, ...["", ...options].map((value) => el("option", { value, text: value ? sayOr(`chip.${value}`, value) : say("operators.any") })))
      : el("input", { type: "text", id, name, autocomplete: "off", spellcheck: "false" });
    form.append(el("div", {}, el("label", { for: id, text: say(`column.${name}`) }), field));
  }
  if (fields.length) form.append(el("button", { class: "quiet-button", text: say("operators.filter") }));
  form.hidden = !fields.length;
  let all = [];
  let next = null;
  let asked = 0;
  const fetchPage = async (from) => {
    const mine = ++asked; // Enter in a field asks twice, and answers may come out of order: the last one counts
    const wanted = new URLSearchParams({ limit: String(PAGE), ...from });
    for (const [name, value] of new FormData(form)) if (value) wanted.set(name, value.trim());
    rows.ariaBusy = "true";
    await guarded(async () => {
      const answer = await load(wanted);
      if (mine !== asked) return;
      all = from ? [...all, ...answer.data] : answer.data;
      next = answer.next;
      further.hidden = !next;
      rows.replaceChildren(show(all));
      byId("status").textContent = say("operators.rows", { count: all.length });
    }, rows, () => mine === asked);
    if (mine === asked) rows.ariaBusy = "false";
  };
  further.addEventListener("click", () => fetchPage(next));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    fetchPage(null);
  });
  form.addEventListener("change", () => fetchPage(null));
  return [el("div", {}, form, rows, further), () => fetchPage(null)];
}

async function guarded(work, place, isWanted = () => true) {
  try {
    await work();
  } catch (error) {
    if (error instanceof Refused) lock(error.message);
    else if (isWanted()) place.replaceChildren(el("p", { class: "notice", text: error.message }));
  }
}

// The four panels. Each is [element, load].

function queuePanel() {
  const now = el("div", { class: "queue" });
  const [jobs, loadJobs] = list(
    [["tenant"], ["status", ["queued", "in_progress", "completed", "failed"]]],
    (wanted) => ask(`/v1/admin/jobs?${wanted}`),
    (rows) =>
      table(say("operators.jobs"), [
        ["id", (row) => code(row.id)],
        ["tenant", (row) => row.tenant],
        ["status", (row) => chip(row.status)],
        ["progress", (row) => (row.status === "in_progress" ? `${row.progress} %` : (row.error_code ?? ""))],
        ["attempts", (row) => String(row.attempts)],
        ["created", (row) => moment(row.created_at)],
      ], rows),
  );
  const loadNow = () =>
    guarded(async () => {
      const [report, promises] = await Promise.all([ask("/v1/admin/queue"), stages()]);
      const tiles = el("ul", { class: "tiles" });
      for (const [state, count] of Object.entries(report.counts)) {
        tiles.append(el("li", {}, chip(state), el("b", { text: count.toLocaleString() })));
      }
      tiles.append(el("li", {}, chip(report.workers.length ? "workers" : "no_workers"), el("b", { text: String(report.workers.length) })));
      now.replaceChildren(
        promises,
        tiles,
        el("h2", { text: say("operators.waiting") }),
        table(say("operators.waiting"), [
          ["tenant", (row) => row.tenant],
          ["queued", (row) => String(row.queued)],
          ["in_progress", (row) => String(row.in_progress)],
          ["oldest", (row) => moment(row.oldest)],
        ], report.tenants),
        el("h2", { text: say("operators.workers") }),
        table(say("operators.workers"), [
          ["worker", (row) => code(row.name)],
          ["model", (row) => row.model],
          ["since", (row) => moment(row.started_at)],
        ], report.workers),
      );
    }, now);
  return [el("div", {}, now, el("h2", { text: say("operators.jobs") }), jobs), () => Promise.all([loadNow(), loadJobs()]), loadNow];
}

function decisionsPanel() {
  return list(
    [["tenant"], ["outcome", ["allow", "block", "review"]], ["reason"]],
    (wanted) => ask(`/v1/admin/decisions?${wanted}`),
    (rows) =>
      table(say("operators.decisions"), [
        ["created", (row) => moment(row.created_at)],
        ["tenant", (row) => row.tenant],
        ["stage", (row) => row.stage],
        ["outcome", (row) => chip(row.outcome)],
        ["reason", (row) => code(row.reason)],
        ["policy", (row) => row.policy],
      ], rows, decisionDetail),
  );
}

function decisionDetail(row) {
  const rules = (row.detail?.findings ?? []).map((finding) =>
    el("li", {}, el("b", { text: finding.title || finding.rule_id }), ` ${finding.rule_id} `, code(finding.reason)),
  );
  return el(
    "div",
    {},
    terms([
      [say("column.id"), code(row.id)],
      [say("column.handle"), code(row.handle)],
      [say("column.rules"), rules.length ? el("ul", {}, ...rules) : ""],
    ]),
    el("details", {}, el("summary", { text: say("data.json") }), el("pre", { tabindex: "0", "aria-label": say("data.json"), text: JSON.stringify(row.detail, null, 2) })),
  );
}

function appealsPanel() {
  const now = el("div", { class: "queue" });
  const [open, loadOpen] = list(
    [],
    async (wanted) => {
      const answer = await ask(`/v1/appeals/queue?${wanted}`);
      return { data: answer.data, next: answer.has_more ? { after: answer.data.at(-1).id } : null };
    },
    (rows) =>
      table(say("operators.appeals"), [
        ["filed", (row) => moment(row.filed_at)],
        ["tenant", (row) => row.tenant],
        ["reason", (row) => code(row.reason)],
        ["policy", (row) => row.policy],
      ], rows, (row) => appealDetail(row, load)),
  );
  const load = async () => {
    await guarded(async () => {
      const found = await ask("/v1/appeals/statistics");
      const tiles = el("ul", { class: "tiles" });
      for (const [name, value] of [
        ["filed", found.filed],
        ["decided", found.decided],
        ["reversed", found.reversed],
        ["hours", found.median_hours === null ? "–" : found.median_hours.toFixed(1)],
      ]) {
        tiles.append(el("li", {}, el("span", { class: "faint", text: say(`appeals.${name}`) }), el("b", { text: String(value) })));
      }
      now.replaceChildren(tiles, el("h2", { text: say("operators.open_appeals") }));
    }, now);
    await loadOpen();
  };
  return [el("div", {}, now, open), load];
}

function appealDetail(row, reload) {
  const note = el("textarea", { id: `note-${row.id}`, rows: "3", maxlength: "4000" });
  const problem = el("p", { class: "bad-text", role: "alert" });
  const decide = (outcome) =>
    guarded(async () => {
      const body = JSON.stringify({ outcome, note: note.value });
      await ask(`/v1/appeals/${row.id}/decide`, { method: "POST", body, headers: { "content-type": "application/json" } });
      await reload();
    }, problem);
  return el(
    "div",
    {},
    terms([
      [say("column.statement"), row.statement],
      [say("column.decision"), code(row.decision_id)],
    ]),
    el("label", { for: note.id, text: say("operators.note") }),
    note,
    problem,
    el("div", { class: "row" },
      el("button", { type: "button", class: "button", text: say("operators.uphold"), click: () => decide("upheld") }),
      el("button", { type: "button", class: "quiet-button", text: say("operators.reverse"), click: () => decide("reversed") })),
  );
}

function marksPanel() {
  const [panel, load] = list(
    [["id"], ["tenant"]],
    (wanted) => ask(`/v1/admin/marks?${wanted}`),
    (rows) =>
      table(say("operators.marks"), [
        ["id", (row) => code(row.id)],
        ["created", (row) => moment(row.created_at)],
        ["tenant", (row) => row.tenant],
        ["model", (row) => row.model?.name ?? ""],
        ["mark_state", (row) => (row.revoked_at ? chip("revoked") : chip("stands"))],
      ], rows, (row) => markDetail(row, load)),
  );
  return [panel, load];
}

function markDetail(row, reload) {
  const withdraw = el("button", { type: "button", class: "quiet-button danger", text: say("operators.revoke") });
  const sure = el("dialog", { "aria-label": say("operators.revoke") });
  const problem = el("p", { class: "bad-text", role: "alert" });
  sure.append(
    el("p", { text: say("operators.revoke_sure", { id: row.id }) }),
    problem,
    el("div", { class: "row" },
      el("button", { type: "button", class: "button danger", text: say("operators.revoke"), click: () =>
        guarded(async () => {
          await ask(`/v1/admin/marks/${row.id}/revoke`, { method: "POST" });
          sure.close();
          await reload();
        }, problem) }),
      el("button", { type: "button", class: "quiet-button", text: say("operators.keep"), click: () => sure.close() })),
  );
  withdraw.addEventListener("click", () => sure.showModal());
  return el(
    "div",
    {},
    terms([
      [say("record.label"), code(row.manifest_label)],
      [say("data.key"), row.key_id],
      [say("record.policy"), row.policy ? `${row.policy.id} ${row.policy.version}` : ""],
      [say("column.sha256"), code(row.file_sha256)],
      [say("record.revoked"), moment(row.revoked_at)],
    ]),
    row.revoked_at ? null : withdraw,
    sure,
  );
}

// Tabs, as the ARIA Authoring Practices describe them

const PANELS = { queue: queuePanel, decisions: decisionsPanel, appeals: appealsPanel, marks: marksPanel };
const open = new Map();
let current = null;

function build() {
  for (const [name, make] of Object.entries(PANELS)) {
    const tab = el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, "aria-selected": "false", tabindex: "-1", text: say(`tab.${name}`) });
    const [content, load, refresh] = make();
    const panel = el("section", { role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`, tabindex: "0", hidden: true }, content);
    tab.addEventListener("click", () => choose(name));
    tab.addEventListener("keydown", (event) => step(event, name));
    byId("tabs").append(tab);
    byId("panels").append(panel);
    open.set(name, { tab, panel, load, refresh });
  }
}

function step(event, name) {
  const names = Object.keys(PANELS);
  const moves = { ArrowRight: 1, ArrowLeft: -1 };
  const at = names.indexOf(name) + (moves[event.key] ?? 0);
  const to = event.key === "Home" ? names[0] : event.key === "End" ? names.at(-1) : names.at(at % names.length);
  if (to === name) return;
  event.preventDefault();
  choose(to);
  open.get(to).tab.focus();
}

async function choose(name) {
  current = name;
  for (const [other, { tab, panel }] of open) {
    tab.setAttribute("aria-selected", String(other === name));
    tab.tabIndex = other === name ? 0 : -1;
    panel.hidden = other !== name;
  }
  history.replaceState(null, "", `#${name}`);
  await open.get(name).load();
}

function lock(reason) {
  byId("desk").hidden = true;
  byId("leave").hidden = true;
  byId("key-form").hidden = false;
  byId("refused").textContent = reason ?? "";
  current = null;
}

async function enter() {
  byId("refused").textContent = "";
  try {
    await ask("/v1/admin/queue");
  } catch (error) {
    lock(error.message);
    return;
  }
  byId("key-form").hidden = true;
  byId("desk").hidden = false;
  byId("leave").hidden = false;
  const wanted = location.hash.slice(1);
  await choose(wanted in PANELS ? wanted : "queue");
}

build();
themeButton(byId("theme"));
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  apiKey.set(byId("key").value.trim());
  byId("key").value = "";
  enter();
});
byId("leave").addEventListener("click", () => {
  apiKey.set("");
  lock();
  byId("key").focus();
});
setInterval(() => {
  if (current && !document.hidden) open.get(current).refresh?.();
}, REFRESH_MS);
if (apiKey.get()) enter();
