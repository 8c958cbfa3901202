// The verify page: takes files, sends them one after another to /v1/verify, and shows what comes back.
import { apiKey, el, icon, saveAs, say, themeButton } from "./dom.js";
import { badge, look, reportBody, verdictWords } from "./report.js";

const byId = (id) => document.getElementById(id);
const [input, form, status, results, list] = ["file", "form", "status", "results", "reports"].map(byId);
const [about, summary, keyForm] = ["about", "summary", "key-form"].map(byId);

const entries = [];
let working = false;

/** One file on its way: waiting, sending, examined or failed. */
class Entry {
  constructor(file) {
    this.file = file;
    this.report = null;
    this.thorough = false;
    this.state = "waiting";
    this.title = el("span", { class: "file-name", text: file.name });
    this.note = el("span", { class: "state", text: say("state.waiting") });
    this.bar = el("progress", { max: "100", value: "0", "aria-label": file.name, hidden: true });
    this.body = el("div", { class: "body" });
    this.head = el("summary", {}, preview(file), el("span", { class: "head-text" }, this.title, this.note), icon("chevron"));
    this.card = el("details", { class: "card" }, this.head, this.bar, this.body);
    this.item = el("li", {}, this.card);
  }

  show(state, words, percent) {
    this.state = state;
    this.note.replaceChildren(words);
    this.bar.hidden = state !== "sending";
    if (percent === undefined) this.bar.removeAttribute("value");
    else this.bar.value = percent;
    this.item.setAttribute("aria-busy", String(state === "sending"));
  }

  finish(report) {
    this.report = report;
    this.show("done", badge(report.verdict));
    this.card.classList.add(look(report.verdict)[1]);
    this.body.replaceChildren(...reportBody(report), ...this.closer(report));
    status.textContent = say("say.done", { name: this.file.name, verdict: verdictWords(report.verdict) });
  }

  /** Offers the slower search, where the whole shows no mark and nobody looked for parts. */
  closer(report) {
    if (report.parts || report.watermark?.found || !report.media?.width) return [];
    const look = () => {
      this.thorough = true;
      this.card.classList.remove("good", "plain", "note", "bad", "warn");
      this.retry();
    };
    const button = el("button", { type: "button", class: "quiet-button", text: say("state.closer"), click: look });
    return [el("p", { class: "closer" }, button, el("span", { class: "faint", text: say("state.closer_note") }))];
  }

  fail(detail, locked) {
    this.show("failed", el("span", { class: "badge warn" }, icon("failed"), el("span", { text: say("state.failed") })));
    const again = el("button", { type: "button", class: "quiet-button", text: say("state.again"), click: () => this.retry() });
    this.body.replaceChildren(el("p", { class: "means", text: detail }), again);
    this.card.classList.add("warn");
    this.card.open = true;
    status.textContent = say("say.done", { name: this.file.name, verdict: `${say("state.failed")}. ${detail}` });
    keyForm.hidden = keyForm.hidden && !locked;
  }

  retry() {
    this.card.classList.remove("warn");
    this.body.replaceChildren();
    this.show("waiting", say("state.waiting"));
    this.head.focus();
    run();
  }
}

function preview(file) {
  const frame = el("span", { class: "preview", "aria-hidden": "true" });
  const kind = file.type.split("/")[0];
  const url = kind === "image" || kind === "video" ? URL.createObjectURL(file) : null;
  if (url === null) return frame;
  const shown = kind === "image" ? el("img", { alt: "", src: url }) : el("video", { src: `${url}#t=0.1`, muted: true, preload: "metadata", tabindex: "-1" });
  shown.addEventListener("error", () => shown.remove());
  frame.append(shown);
  return frame;
}

/** Send one file. Resolves to [status, body]; rejects when the server does not answer. */
function send(entry) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of an upload's progress
    request.open("POST", entry.thorough ? "/v1/verify?thorough=true" : "/v1/verify");
    for (const [name, value] of Object.entries(apiKey.headers())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      const percent = event.lengthComputable ? Math.round((100 * event.loaded) / event.total) : 0;
      if (percent < 100) entry.show("sending", say("state.uploading", { percent }), percent);
      else entry.show("sending", say("state.examining"));
    });
    request.upload.addEventListener("load", () => entry.show("sending", say("state.examining")));
    request.addEventListener("load", () => resolve([request.status, request.response]));
    request.addEventListener("error", () => reject(new Error("network")));
    const body = new FormData();
    body.append("file", entry.file);
    request.send(body);
  });
}

async function examine(entry) {
  entry.show("sending", say("state.uploading", { percent: 0 }), 0);
  status.textContent = say("say.examining", { name: entry.file.name });
  try {
    const [code, answer] = await send(entry);
    if (code === 200 && answer) entry.finish(answer);
    else entry.fail(answer?.detail ?? say("say.no_answer"), code === 401);
  } catch {
    entry.fail(say("say.no_answer"), false);
  }
  tally();
}

async function run() {
  if (working) return;
  working = true;
  for (let next = waiting(); next; next = waiting()) await examine(next);
  working = false;
}

const waiting = () => entries.find((entry) => entry.state === "waiting");

function tally() {
  const finished = entries.filter((entry) => entry.report);
  const counts = new Map();
  for (const { report } of finished) counts.set(report.verdict, (counts.get(report.verdict) ?? 0) + 1);
  summary.replaceChildren(say("results.summary", { done: finished.length, all: entries.length }));
  if (entries.length > 1) {
    for (const [verdict, count] of counts) summary.append(" · ", el("b", { text: String(count) }), ` ${verdictWords(verdict)}`);
  }
  results.hidden = !entries.length;
  about.hidden = entries.length > 0;
  byId("save").disabled = !finished.length;
}

function take(files) {
  const first = entries.length === 0;
  for (const file of files) {
    const entry = new Entry(file);
    entries.push(entry);
    list.append(entry.item);
  }
  if (first && entries.length) {
    entries[0].card.open = true;
    document.documentElement.classList.add("has-results");
  }
  tally();
  run();
}

function save() {
  const reports = entries.filter((entry) => entry.report).map((entry) => ({ file: entry.file.name, ...entry.report }));
  saveAs(new Blob([JSON.stringify(reports, null, 2)], { type: "application/json" }), say("results.file"));
}

function clear() {
  for (const shown of list.querySelectorAll("[src]")) URL.revokeObjectURL(shown.src);
  entries.length = 0;
  list.replaceChildren();
  document.documentElement.classList.remove("has-results");
  tally();
  input.focus();
}

input.addEventListener("change", () => {
  take([...input.files]);
  input.value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) form.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  take([...event.dataTransfer.files]);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) take([...event.clipboardData.files]);
});
keyForm.addEventListener("submit", (event) => {
  event.preventDefault();
  apiKey.set(byId("key").value.trim());
  keyForm.hidden = true;
  for (const entry of entries) if (entry.state === "failed") entry.retry();
});
byId("save").addEventListener("click", save);
byId("clear").addEventListener("click", clear);
byId("drop-icon").append(icon("upload"));
for (const [place, shape] of [...document.querySelectorAll("#lanes > li")].map((item, at) => [item, ["mark", "seal", "recovered", "swap"][at]])) {
  place.prepend(icon(shape));
}
themeButton(byId("theme"));
