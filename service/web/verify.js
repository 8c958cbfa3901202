// Sends files to /v1/verify and shows the answers. All text goes in as text, never as markup:
// file names and manifests are written by strangers.
import { STRINGS } from "./strings.js";

const input = document.getElementById("file");
const drop = document.getElementById("drop");
const status = document.getElementById("status");
const reports = document.getElementById("reports");

function node(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function pairs(report) {
  const { watermark, c2pa, registry, fingerprint } = report;
  const mark = watermark.found
    ? `${STRINGS.found(watermark.id)}; ${STRINGS.chance(watermark.log10_p)}`
    : STRINGS.absent;
  return [
    [STRINGS.mark, mark],
    [STRINGS.credentials, c2pa.state],
    [STRINGS.record, registry?.found ? STRINGS.found(registry.id ?? watermark.id) : STRINGS.absent],
    [STRINGS.likeness, fingerprint?.match ?? STRINGS.absent],
  ];
}

function facts(report) {
  return report.explain.map((line) => {
    const fact = node("div", undefined, "fact");
    fact.append(
      node("p", line.fact),
      node("p", STRINGS.means + line.means),
      node("p", STRINGS.limit + line.does_not_prove, "limit"),
    );
    return fact;
  });
}

function card(name) {
  const made = node("article");
  made.append(node("h2", name));
  reports.prepend(made);
  return made;
}

function showReport(name, report) {
  const [words, tone] = STRINGS.verdicts[report.verdict] ?? [STRINGS.unknown, "warn"];
  const list = node("dl");
  for (const [term, value] of pairs(report)) list.append(node("dt", term), node("dd", value));
  const raw = node("details");
  raw.append(node("summary", STRINGS.raw), node("pre", JSON.stringify(report, null, 2)));
  card(name).append(node("p", words, `verdict ${tone}`), list, ...facts(report), raw);
  status.textContent = STRINGS.done(name, words);
}

function showProblem(name, detail) {
  card(name).append(node("p", STRINGS.failed, "verdict warn"), node("p", detail));
  status.textContent = STRINGS.done(name, STRINGS.failed);
}

async function verify(file) {
  status.textContent = STRINGS.examining(file.name);
  const body = new FormData();
  body.append("file", file);
  try {
    const answer = await fetch("/v1/verify", { method: "POST", body });
    const report = await answer.json();
    if (answer.ok) showReport(file.name, report);
    else showProblem(file.name, report.detail);
  } catch {
    showProblem(file.name, STRINGS.noAnswer);
  }
}

async function verifyAll(files) {
  for (const file of files) await verify(file);
}

input.addEventListener("change", async () => {
  await verifyAll([...input.files]);
  input.value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  verifyAll([...event.dataTransfer.files]);
});
