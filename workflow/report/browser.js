"use strict";
// The case browser: a list that sorts and filters, and the chosen patient drawn by NiiVue.
// Everything was read with the page, except for NiiVue and the patients' scans: script files beside it, run when needed,
// since a page from the file system may not read its neighbors. See scripts/ichflow/browser.py and viewer.py.

const $ = (selector) => document.querySelector(selector);
const DATA = JSON.parse($("#data").textContent);
const ROWS_A_PAGE = 100;
const TRUTH = 1, PREDICTION = 2; // bits of a voxel of the overlay

// ---------------------------------------------------------------- list

const number = (digits) => (value) => value === null ? "–" : value.toFixed(digits);
const text = (value) => value === null ? "–" : value;
const SHORT = { intraventricular: "IVH", intraparenchymal: "IPH", subarachnoid: "SAH", epidural: "EDH", subdural: "SDH" };
const shortened = (names) => names === null ? "–" : names.split(", ").map((name) => SHORT[name] || name).join(", ");
const COLUMNS = [ // key, heading, what it means, how it is written
  ["patient", "Patient", "as the dataset names it", text],
  ["part", "Part", "in the fold whose model predicts the patient", text],
  ["dice", "Dice", "overlap of truth and prediction, 0 to 1", number(2)],
  ["hd95", "HD95", "95th percentile of surface distances in mm", number(1)],
  ["trueMl", "True", "volume of the mask in mL", number(1)],
  ["predictedMl", "Pred.", "volume of the prediction in mL", number(1)],
  ["wrongMl", "Wrong", "missed plus falsely marked volume in mL", number(1)],
  ["subtypes", "Subtypes", "as labeled", shortened],
];
const UNITS = { hd95: "mm", trueMl: "mL", predictedMl: "mL", wrongMl: "mL" };
const isText = (key) => ["patient", "part", "subtypes"].includes(key);

const filters = $("#filters").elements;
const list = { key: "dice", direction: 1, page: 0, rows: [] };

// A patient's entry with the metrics of the chosen model laid over it
function merged(index) {
  const entry = Object.fromEntries(DATA.patientKeys.map((key, place) => [key, DATA.patients[index][place]]));
  const measured = (DATA.metrics[filters.model.value] || [])[index];
  DATA.metricKeys.forEach((key, place) => { entry[key] = measured ? measured[place] : null; });
  return entry;
}

function isShown(entry) {
  const shows = filters.shows.value, wanted = filters.text.value.trim().toLowerCase();
  if (filters.part.value && entry.part !== filters.part.value) { return false; }
  if (wanted && !entry.patient.toLowerCase().includes(wanted)) { return false; }
  if (shows === "+") { return entry.trueMl > 0; }
  if (shows === "-") { return entry.trueMl === 0; }
  return !shows || (entry.subtypes || "").split(", ").includes(shows);
}

function compare(one, other) {
  const a = one[list.key], b = other[list.key];
  if (a === null || b === null || a === b) { // what is not defined stays last, most wrong first
    return (a === null) - (b === null) || (other.wrongMl || 0) - (one.wrongMl || 0) || one.patient.localeCompare(other.patient);
  }
  return list.direction * (isText(list.key) ? a.localeCompare(b) : a - b);
}

function updateList() {
  list.rows = DATA.patients.map((_, index) => merged(index)).filter(isShown).sort(compare);
  list.page = 0;
  drawList();
}

function drawList() {
  const pages = Math.max(Math.ceil(list.rows.length / ROWS_A_PAGE), 1), first = list.page * ROWS_A_PAGE;
  $("#count").textContent = `${list.rows.length} of ${DATA.patients.length} patients`;
  $("#table tbody").replaceChildren(...list.rows.slice(first, first + ROWS_A_PAGE).map(rowElement));
  document.querySelectorAll("#table th[data-key]").forEach((head) => {
    if (head.dataset.key !== list.key) { head.removeAttribute("aria-sort"); return; }
    head.setAttribute("aria-sort", list.direction === 1 ? "ascending" : "descending");
  });
  $("#pages").hidden = pages === 1;
  $("#pages span").textContent = `page ${list.page + 1} of ${pages}`;
  $("#pages [name=back]").disabled = list.page === 0;
  $("#pages [name=on]").disabled = list.page === pages - 1;
  markCurrent();
}

function rowElement(entry) {
  const row = document.createElement("tr");
  row.dataset.patient = entry.patient;
  COLUMNS.forEach(([key, , , write], place) => {
    const cell = row.appendChild(document.createElement(place ? "td" : "th"));
    cell.className = isText(key) ? "text" : "";
    if (place) { cell.textContent = write(entry[key]); return; }
    cell.scope = "row";
    const link = cell.appendChild(document.createElement("a"));
    link.href = `#${encodeURIComponent(entry.patient)}`;
    link.textContent = entry.patient;
  });
  row.addEventListener("click", () => { location.hash = encodeURIComponent(entry.patient); });
  return row;
}

function markCurrent() {
  document.querySelectorAll("#table tbody tr").forEach((row) => {
    if (row.dataset.patient !== chosen.patient) { row.removeAttribute("aria-current"); return; }
    row.setAttribute("aria-current", "true");
    row.scrollIntoView({ block: "nearest" });
  });
}

function sortBy(key) {
  list.direction = list.key === key ? -list.direction : 1;
  list.key = key;
  updateList();
}

function turnPage(step) {
  list.page += step;
  drawList();
}

function buildList() {
  $("#table thead tr").replaceChildren(...COLUMNS.map(([key, heading, meaning]) => {
    const head = document.createElement("th");
    head.scope = "col";
    head.dataset.key = key;
    head.className = isText(key) ? "text" : "";
    const button = head.appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = heading;
    if (UNITS[key]) { button.appendChild(document.createElement("small")).textContent = ` ${UNITS[key]}`; }
    button.title = meaning;
    button.addEventListener("click", () => sortBy(key));
    return head;
  }));
  $("#filters").addEventListener("input", () => { updateList(); showFacts(); drawOverlay(); });
  $("#filters").addEventListener("submit", (event) => event.preventDefault());
  $("#pages [name=back]").addEventListener("click", () => turnPage(-1));
  $("#pages [name=on]").addEventListener("click", () => turnPage(1));
}

// The patient that follows in the list as it is sorted and filtered, on whatever page
function step(by) {
  const current = fromAddress(); // which is ahead of what is drawn
  const place = list.rows.findIndex((entry) => entry.patient === current);
  const next = place < 0 ? 0 : place + by;
  if (!list.rows[next]) { return; }
  list.page = Math.floor(next / ROWS_A_PAGE);
  drawList();
  location.hash = encodeURIComponent(list.rows[next].patient);
}

// ---------------------------------------------------------------- files

function runScript(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = path;
    script.onload = () => { script.remove(); resolve(); };
    script.onerror = () => {
      script.remove();
      reject(new Error(`${path} cannot be read; expected it beside this page.\nMake it with: snakemake --cores 8 browser`));
    };
    document.head.append(script);
  });
}

let handedOver = null;
window.showCase = (content) => { handedOver = content; }; // what a patient's file calls

async function readCase(patient) {
  await runScript(`cases/${encodeURIComponent(patient)}.js`);
  const content = handedOver;
  handedOver = null;
  return content;
}

function fromText(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function unpacked(base64) {
  const stream = new Blob([fromText(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A NIfTI file out of a header and what follows it
function nifti(header, content) {
  const file = new Uint8Array(header.length + content.length);
  file.set(header);
  file.set(content, header.length);
  return file.buffer;
}

// Low bytes come first and high ones after them: put each pair together
function interleaved(planes) {
  const half = planes.length / 2, content = new Uint8Array(planes.length);
  for (let place = 0; place < half; place++) {
    content[2 * place] = planes[place];
    content[2 * place + 1] = planes[half + place];
  }
  return content;
}

// The header of the scan, for one byte a voxel: data type, bits a voxel, slope
function overlayHeader(header) {
  const copy = header.slice(), view = new DataView(copy.buffer);
  view.setInt16(70, 2, true);
  view.setInt16(72, 8, true);
  view.setFloat32(112, 1, true);
  return copy;
}

// ---------------------------------------------------------------- pictures

const WINDOWS = DATA.windows; // name, level, width
const state = { window: 0, truth: true, prediction: true, cut: false, view: 0 };
const chosen = { patient: null, masks: null, slices: 0, slice: 0 };
let planes = null, rendering = null; // NiiVue, once for slices and once for three dimensions

const LABELS = { // colors of a voxel by its bits: neither, truth, prediction, both
  R: [0, 86, 230, 240], G: [0, 180, 159, 228], B: [0, 233, 0, 66], A: [0, 255, 255, 255], I: [0, 1, 2, 3],
};
const VIEWS = ["all", "axial", "3-D"];
const SKULL = { R: [0, 200, 255], G: [0, 190, 250], B: [0, 175, 240], A: [0, 10, 60], I: [0, 80, 255] };

async function startViewer() {
  const options = {
    logLevel: "error", isRadiologicalConvention: true, sagittalNoseLeft: true, dragAndDropEnabled: false, dragMode: 3,
    viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "", isColorbar: false, loadingText: "",
    fontColor: [1, 1, 1, 1], crosshairColor: [0.8, 0.47, 0.65, 0.8], crosshairWidthUnit: "mm", crosshairWidth: 0.6, crosshairGap: 8, showAllOrientationMarkers: true,
  };
  if (!document.createElement("canvas").getContext("webgl2")) {
    throw new Error("This browser offers no WebGL2, which the pictures need: switch on hardware acceleration or take another browser.\nThe list works without it.");
  }
  await runScript("niivue.js");
  planes = new window.Niivue({ ...options, multiplanarShowRender: 0 });
  rendering = new window.Niivue({ ...options, isOrientCube: true, show3Dcrosshair: false });
  await planes.attachToCanvas($("#planes canvas"));
  await rendering.attachToCanvas($("#volume canvas"));
  rendering.addColormap("skull", SKULL);
  rendering.setClipPlaneColor([0, 0, 0, 0]);
  rendering.setSliceType(rendering.sliceTypeRender);
  rendering.setScale(1.4);
  planes.onLocationChange = tellSlice;
  takeView(state.view);
}

async function drawCase(content, masks) {
  const header = fromText(content.header), scan = nifti(header, interleaved(await unpacked(content.scan)));
  const voxels = content.native[0] * content.size ** 2;
  const empty = nifti(overlayHeader(header), new Uint8Array(voxels));
  for (const view of [planes, rendering]) {
    [...view.volumes].reverse().forEach((volume) => view.removeVolume(volume));
    await view.loadFromArrayBuffer(scan.slice(0), "scan.nii");
    await view.loadFromArrayBuffer(empty.slice(0), "overlay.nii");
  }
  if (chosen.patient !== content.patient) { return; } // somebody else was chosen meanwhile
  Object.assign(chosen, { masks, slices: masks.slices });
  $("#slice input").max = masks.slices;
  planes.volumes[1].opacity = 0.5;
  for (const view of [planes, rendering]) { view.volumes[1].setColormapLabel(LABELS); }
  rendering.volumes[0].colormap = "skull";
  Object.assign(rendering.volumes[0], { cal_min: 150, cal_max: 1200 });
  drawWindow();
  drawOverlay();
  moveTo(centerOf(chosen.masks));
  drawCut();
}

// Where there is most to see: in the middle of the truth, or of the prediction, on the slice that has most of it
function centerOf({ truth, predictions, size, slices }) {
  const marked = [truth, predictions[filters.model.value]].find((mask) => mask && mask.some((voxel) => voxel));
  if (!marked) { return [size / 2, size / 2, Math.floor(slices / 2)]; }
  let most = [];
  for (let slice = 0; slice < slices; slice++) {
    const places = [];
    for (let place = slice * size * size; place < (slice + 1) * size * size; place++) {
      if (marked[place]) { places.push(place); }
    }
    if (places.length > most.length) { most = places; }
  }
  const middle = most[most.length >> 1];
  return [middle % size, Math.floor(middle / size) % size, Math.floor(middle / size / size)];
}

// Column, row and slice in display order; NiiVue counts columns to the right and rows to the front
function moveTo([column, row, slice]) {
  const size = chosen.masks.size;
  planes.scene.crosshairPos = [1 - (column + 0.5) / size, 1 - (row + 0.5) / size, (slice + 0.5) / chosen.slices];
  planes.updateGLVolume();
  planes.createOnLocationChange();
}

function moveSlice(by) {
  planes.moveCrosshairInVox(0, 0, by);
}

function tellSlice(location) {
  if (!chosen.masks) { return; }
  chosen.slice = Math.min(Math.floor(planes.scene.crosshairPos[2] * chosen.slices), chosen.slices - 1) + 1;
  $("#slice input").value = chosen.slice;
  const [name, level, width] = WINDOWS[state.window], hu = location.values[0].value;
  $("#shown").textContent = `Patient ${chosen.patient} · slice ${chosen.slice} of ${chosen.slices} · ${name} window, ` +
    `level ${level}, width ${width} HU · ${Math.round(hu)} HU at the cross · R: the patient's right${chosen.masks.drawn}`;
}

function drawWindow() {
  if (!chosen.masks) { return; }
  const [, level, width] = WINDOWS[state.window];
  Object.assign(planes.volumes[0], { cal_min: level - width / 2, cal_max: level + width / 2 });
  planes.updateGLVolume();
  planes.createOnLocationChange();
}

function drawOverlay() {
  if (!chosen.masks) { return; }
  const { truth, predictions } = chosen.masks, predicted = predictions[filters.model.value];
  const overlay = new Uint8Array(truth.length);
  for (let place = 0; place < overlay.length; place++) {
    if (state.truth && truth[place]) { overlay[place] |= TRUTH; }
    if (state.prediction && predicted && predicted[place]) { overlay[place] |= PREDICTION; }
  }
  for (const view of [planes, rendering]) {
    view.volumes[1].img = overlay;
    view.updateGLVolume();
  }
}

function drawCut() {
  rendering.setClipPlane(state.cut ? [0, 180, 40] : [2, 0, 0]);
}

function takeView(index) {
  state.view = index;
  press("#views", index);
  $("#pictures").className = VIEWS[index];
  const axial = { sliceType: planes.sliceTypeAxial, position: [0, 0, VIEWS[index] === "all" ? 0.62 : 1, 1] };
  const others = [planes.sliceTypeCoronal, planes.sliceTypeSagittal].map((sliceType, place) => (
    { sliceType, position: [0.62, place / 3, 0.38, 1 / 3] }
  ));
  planes.setCustomLayout(VIEWS[index] === "all" ? [axial, ...others] : [axial]);
}

function turn(azimuth, elevation) {
  rendering.setRenderAzimuthElevation(rendering.scene.renderAzimuth + azimuth, rendering.scene.renderElevation + elevation);
}

// ---------------------------------------------------------------- case

let started = null, drawing = Promise.resolve();

async function showPatient(patient) {
  const index = DATA.patients.findIndex((entry) => entry[0] === patient);
  if (index < 0) { return; }
  Object.assign(chosen, { patient, masks: null });
  markCurrent();
  showFacts();
  say("");
  $("#shown").textContent = "";
  $("#viewer").setAttribute("aria-busy", "true");
  try {
    const content = await readCase(patient);
    if (content.setAside) { $("#viewer").hidden = true; return; }
    const { size } = content, [slices, rows, columns] = content.native;
    const drawn = size < Math.max(rows, columns) ? ` · drawn at ${size} × ${size}, the scan has ${columns} × ${rows}` : "";
    const masks = { size, slices, drawn, truth: await unpacked(content.truth), predictions: {} };
    for (const [model, mask] of Object.entries(content.predictions)) { masks.predictions[model] = await unpacked(mask); }
    if (chosen.patient !== patient) { return; }
    $("#viewer").hidden = false;
    started = started || startViewer();
    await started;
    // One after another, and only who is still wanted
    drawing = drawing.catch(() => {}).then(() => chosen.patient === patient && drawCase(content, masks));
    await drawing;
  } catch (error) {
    $("#viewer").hidden = true;
    say(error.message);
  } finally {
    if (chosen.patient === patient) { $("#viewer").removeAttribute("aria-busy"); }
  }
}

function say(message) {
  $("#message").textContent = message;
  $("#message").hidden = !message;
}

function showFacts() {
  const index = DATA.patients.findIndex((entry) => entry[0] === chosen.patient);
  if (index < 0) { return; }
  const entry = merged(index);
  $("#title").textContent = `Patient ${entry.patient}`;
  if (entry.part === "set aside") {
    $("#facts").textContent = `Set aside, in no result: ${entry.reasons}`;
    return;
  }
  const told = COLUMNS.filter(([key]) => !isText(key)).map(([key, heading, , write]) => (
    `${heading} ${write(entry[key])}${UNITS[key] && entry[key] !== null ? ` ${UNITS[key]}` : ""}`
  ));
  $("#facts").textContent = [filters.model.value, `${entry.part} part`, ...told, entry.subtypes || "no subtype labeled"].join(" · ");
}

// ---------------------------------------------------------------- keys and buttons

function toggle(name, draw) {
  state[name] = !state[name];
  $(`#tools [name=${name}]`).setAttribute("aria-pressed", state[name]);
  draw();
}

function takeWindow(index) {
  state.window = index;
  press("#windows", index);
  drawWindow();
}

function press(group, index) {
  document.querySelectorAll(`${group} button`).forEach((button, place) => button.setAttribute("aria-pressed", place === index));
}

function nextModel() {
  filters.model.selectedIndex = (filters.model.selectedIndex + 1) % filters.model.options.length;
  $("#filters").dispatchEvent(new Event("input"));
}

const KEYS = [ // key, its name, what it does, how, whether it needs a picture
  ["j", "J", "next patient", () => step(1)],
  ["k", "K", "patient before", () => step(-1)],
  ["m", "M", "next model", nextModel],
  ["/", "/", "find a patient", () => filters.text.focus()],
  ["ArrowUp", "↑", "slice up", () => moveSlice(1), true],
  ["ArrowDown", "↓", "slice down", () => moveSlice(-1), true],
  ...WINDOWS.map(([name], index) => [`${index + 1}`, `${index + 1}`, `${name} window`, () => takeWindow(index), true]),
  ["t", "T", "truth", () => toggle("truth", drawOverlay), true],
  ["p", "P", "prediction", () => toggle("prediction", drawOverlay), true],
  ["v", "V", "next view", () => takeView((state.view + 1) % VIEWS.length), true],
  ["c", "C", "cut 3-D open", () => toggle("cut", drawCut), true],
  ["ArrowLeft", "←", "turn 3-D", () => turn(-10, 0), true],
  ["ArrowRight", "→", "turn 3-D", () => turn(10, 0), true],
  ["Shift+ArrowUp", "Shift ↑", "tilt 3-D", () => turn(0, 10), true],
  ["Shift+ArrowDown", "Shift ↓", "tilt 3-D", () => turn(0, -10), true],
];

function onKey(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : `${event.shiftKey ? "Shift+" : ""}${event.key}`;
  const found = KEYS.find(([name]) => name === key);
  if (!found || event.ctrlKey || event.metaKey || event.altKey) { return; }
  if (event.target.closest("input, select") || (found[4] && !chosen.masks)) { return; }
  event.preventDefault();
  event.stopPropagation(); // NiiVue has keys of its own
  found[3]();
}

function buildChoice(group, names, take) {
  names.forEach((name, index) => {
    const button = $(group).appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = name;
    button.setAttribute("aria-pressed", index === 0);
    button.addEventListener("click", () => take(index));
  });
}

function buildTools() {
  $("#keys").replaceChildren(...KEYS.flatMap(([, name, meaning]) => {
    const term = document.createElement("dt"), description = document.createElement("dd");
    term.appendChild(document.createElement("kbd")).textContent = name;
    description.textContent = meaning;
    return [term, description];
  }));
  buildChoice("#windows", WINDOWS.map(([name]) => name), takeWindow);
  buildChoice("#views", VIEWS, takeView);
  for (const [name, draw] of [["truth", drawOverlay], ["prediction", drawOverlay], ["cut", drawCut]]) {
    $(`#tools [name=${name}]`).addEventListener("click", () => toggle(name, draw));
  }
  $("#slice input").addEventListener("input", (event) => moveSlice(event.target.value - chosen.slice));
  document.addEventListener("keydown", onKey, true);
}

const fromAddress = () => decodeURIComponent(location.hash.slice(1));

buildList();
buildTools();
updateList();
window.addEventListener("hashchange", () => showPatient(fromAddress()));
if (location.hash) {
  showPatient(fromAddress());
} else if (list.rows.length) {
  location.hash = encodeURIComponent(list.rows[0].patient);
}
