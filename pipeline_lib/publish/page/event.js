"use strict";
(async () => {
  const $$ = (id) => document.getElementById(id);
  const data = JSON.parse($$("data").textContent);
  const ALL = data.passes.length, NEVER = 255;
  if (!/\/versions\/\d{4}\//.test(location.pathname)) document.querySelectorAll("a[data-file]").forEach((a) => a.setAttribute("href", data.folder + a.getAttribute("href")));

  const cache = new Map();
  const picture = (key) => { if (!cache.has(key)) cache.set(key, readPicture(data.pictures[key])); return cache.get(key); };
  /* Uncertainty is the likelihood of the class that was not chosen: one picture, two colour tables. */
  const pictureOf = (name) => (name === "uncertainty" ? "likelihood" : name), EACH_PASS = ["classes", "likelihood", "uncertainty"];
  const LAYERS = [
    ["classes", "Flood", "codes"], ["state", "Change since the look before", "codes"], ["first_seen", "First seen flooded", "dates"],
    ["last_seen", "Last seen flooded", "dates"], ["duration", "Duration", "hours"], ["likelihood", "Likelihood of water", "percent"], ["uncertainty", "Uncertainty", "doubt"], ["depth", "Water depth (estimate)", "depth"],
    ["observations", "Number of looks", "count"], ["age", "Age of the newest look", "hours"], ["reference_water", "Water without a flood", "codes"],
    ["optical_water", "Water before, Sentinel-2", "codes"], ["true_colour", "Before, Sentinel-2", "photo"],
  ].filter(([name]) => data.event[pictureOf(name)]);
  const CODES = { classes: data.codes.flood_class, state: data.codes.state, reference_water: data.codes.reference_water, optical_water: data.codes.optical_water };
  const status = { layer: "classes", time: ALL, compare: false, radar: true, split: 0.5, opacity: 0.85 };

  const map = L.map("map", { zoomAnimation: false, fadeAnimation: false, attributionControl: false, zoomSnap: 0.25, minZoom: 3, maxZoom: 19, worldCopyJump: false });
  L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);
  const view = new View(data.bounds, data.outline);
  const fit = () => map.fitBounds(data.bounds, { padding: [6, 6], animate: false });
  fit();
  map.setMaxBounds(L.latLngBounds(data.bounds).pad(1.5));
  view.addTo(map);

  /* Served by `overbank serve`, class layers come as tiles at full resolution; from disk the pictures are all there is. */
  const place = location.pathname.indexOf(`/${data.eventId}/`);
  const detail = location.protocol.startsWith("http") && place >= 0 ? L.tileLayer("", { maxZoom: 19, className: "crisp" }) : null;
  const NAMES = { classes: "flood_class", state: "state", reference_water: "reference_water" };
  function showDetail() {
    const name = NAMES[status.layer], sharp = data.metres > 10 && name && !status.compare && detail;
    if (!sharp) { if (detail) detail.remove(); return; }
    const item = onePass() ? data.passes[status.time].id : "event", version = String(data.version).padStart(4, "0");
    detail.setUrl(`${location.pathname.slice(0, place)}/tiles/${data.eventId}/${version}/${item}/${name}/{z}/{x}/{y}.png`, map.hasLayer(detail));
    detail.setOpacity(status.opacity).addTo(map);
    view.show({ layer: null });
  }

  const choices = $$("layer"), slider = $$("time");
  LAYERS.forEach(([name, title]) => choices.add(new Option(title, name)));
  slider.max = ALL; slider.value = ALL;
  $$("ticks").replaceChildren(...[...data.passes.map((p) => day(p.time)), "All"].map((text) => Object.assign(document.createElement("span"), { textContent: text })));
  const mark = drawChart($$("chart"), data.series, (i) => setTime(i));

  const onePass = () => status.time < ALL;
  const source = () => (onePass() ? data.passes[status.time] : data.event);

  async function colours(name, kind, image) {
    const unit = data.units[name] || 1;
    if (kind === "codes") return [codeTable(CODES[name]), CODES[name].filter((c) => c.colour[3]).map((c) => swatch(`rgb(${c.colour.slice(0, 3)})`, c.title))];
    if (kind === "percent") return [rampTable(RAMPS.likelihood, 100), [ramp(RAMPS.likelihood, "0 %", "100 %")]];
    if (kind === "doubt") {
      const table = emptyTable();
      for (let value = 0; value <= 100; value++) table[value] = mix(RAMPS.uncertainty, Math.min(value, 100 - value) / 50);
      return [table, [ramp(RAMPS.uncertainty, "0 %, sure", "50 %")]];
    }
    if (kind === "dates") {
      const table = emptyTable(), last = Math.max(ALL - 1, 1);
      data.passes.forEach((_, i) => { table[i] = mix(RAMPS.first_seen, i / last); });
      const shown = ALL <= 8 ? data.passes.map((p, i) => swatch(`rgb(${table[i].slice(0, 3)})`, day(p.time))) : [ramp(RAMPS.first_seen, day(data.passes[0].time), day(data.passes[ALL - 1].time))];
      return [table, shown];
    }
    const largest = Math.max(largestOf(image), 1), words = { hours: (v) => spanOf(v * unit), depth: (v) => `${((v * unit) / 100).toFixed(1)} m`, count: (v) => String(v * unit) }[kind];
    return [rampTable(RAMPS[name], largest), [ramp(RAMPS[name], words(0), words(largest))]];
  }

  let turn = 0;
  async function refresh() {
    const mine = ++turn, [name, , kind] = LAYERS.find(([n]) => n === status.layer), from = source();
    const photo = kind === "photo", image = photo ? await decoded(data.pictures[from[name]]) : await picture(from[pictureOf(name)]), classes = await picture(from.classes);
    const [table, legend] = photo ? [null, []] : await colours(name, kind, image);
    if (!photo && !["codes", "percent", "doubt"].includes(kind)) table[NEVER] = CLEAR;
    const now = status.radar || status.compare ? await radarNow() : null;
    const before = status.compare ? await radarBefore() : null;
    if (mine !== turn) return;
    view.show({ layer: photo ? image : paint(image, table), unseen: paint(classes, maskTable(NEVER)), now, before, opacity: status.opacity, split: status.compare ? status.split : null });
    showDetail();
    $$("legend").replaceChildren(...legend, swatch("", "not observed", "hatch"));
    mark(onePass() ? status.time : -1);
    [...$$("ticks").children].forEach((tick, i) => tick.classList.toggle("on", i === status.time));
    const words = onePass() ? stamp(data.passes[status.time].time) : "All passes together";
    $$("when").textContent = words; slider.setAttribute("aria-valuetext", words);
    $$("tag-now").textContent = onePass() ? day(data.passes[status.time].time) : "Now";
    for (const id of ["divider", "tag-before", "tag-now"]) $$(id).hidden = !status.compare;
    document.body.dataset.ready = String(mine);
  }

  async function radarNow() {
    const shown = onePass() ? [status.time] : data.passes.map((_, i) => i);
    return merged(`now${shown}`, shown.map((i) => [data.passes[i].radar, data.passes[i].classes]));
  }
  async function radarBefore() {
    const shown = (onePass() ? [status.time] : data.passes.map((_, i) => i)).filter((i) => data.passes[i].before);
    return shown.length ? merged(`before${shown}`, shown.map((i) => [data.passes[i].before, null])) : null;
  }
  const mergedCache = new Map();
  async function merged(name, pairs) {
    if (mergedCache.has(name)) return mergedCache.get(name);
    let sum = null;
    for (const [key, classesKey] of pairs) {
      const radar = await picture(key), classes = classesKey ? await picture(classesKey) : null;
      if (!sum) sum = { width: radar.width, height: radar.height, values: new Uint8Array(radar.values.length) };
      for (let i = 0; i < sum.values.length; i++) if (radar.values[i] >= SEEN && (!classes || classes.values[i] !== NEVER)) sum.values[i] = radar.values[i];
    }
    const canvas = paint(sum, greyTable());
    mergedCache.set(name, canvas);
    return canvas;
  }

  function swatch(colour, words, kind = "") {
    const span = document.createElement("span"), box = document.createElement("i");
    if (colour) box.style.background = colour;
    if (kind) box.className = kind;
    span.append(box, words);
    return span;
  }
  function ramp(colourList, low, high) {
    const span = document.createElement("span"), box = document.createElement("span");
    box.className = "ramp"; box.style.background = `linear-gradient(90deg, ${colourList.join(",")})`;
    span.append(low, box, high);
    return span;
  }
  const spanOf = (hours) => (hours < 48 ? `${Math.round(hours)} h` : `${(hours / 24).toFixed(1)} days`);

  function setTime(value) {
    status.time = value; slider.value = value;
    if (onePass() && !EACH_PASS.includes(status.layer)) { status.layer = "classes"; choices.value = "classes"; }
    refresh();
  }
  slider.addEventListener("input", () => setTime(Number(slider.value)));
  choices.addEventListener("change", () => {
    status.layer = choices.value;
    if (onePass() && !EACH_PASS.includes(status.layer)) setTime(ALL); else refresh();
  });
  $$("opacity").addEventListener("input", (e) => { status.opacity = e.target.value / 100; view.show({ opacity: status.opacity }); if (detail) detail.setOpacity(status.opacity); });
  $$("radar").addEventListener("change", (e) => { status.radar = e.target.checked; refresh(); });
  $$("whole").addEventListener("click", fit);
  $$("compare").addEventListener("click", (e) => {
    status.compare = !status.compare; e.currentTarget.setAttribute("aria-pressed", String(status.compare)); refresh();
  });
  if (!data.passes.some((p) => p.before)) { $$("compare").disabled = true; $$("compare").title = "This event has no pass before the flood"; }

  const divider = $$("divider");
  function setSplit(share) {
    status.split = Math.min(Math.max(share, 0), 1);
    divider.style.left = `${100 * status.split}%`; divider.setAttribute("aria-valuenow", String(Math.round(100 * status.split)));
    if (status.compare) view.show({ split: status.split });
  }
  divider.addEventListener("pointerdown", (e) => { divider.setPointerCapture(e.pointerId); e.preventDefault(); });
  divider.addEventListener("pointermove", (e) => {
    if (!divider.hasPointerCapture(e.pointerId)) return;
    const box = $$("map").getBoundingClientRect();
    setSplit((e.clientX - box.left) / box.width);
  });
  divider.addEventListener("keydown", (e) => {
    const move = { ArrowLeft: -0.05, ArrowRight: 0.05, Home: -1, End: 1 }[e.key];
    if (move) { e.preventDefault(); setSplit(status.split + move); }
  });

  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; $$("play").innerHTML = "&#9654;"; $$("play").setAttribute("aria-label", "Play the passes"); };
  $$("play").addEventListener("click", () => {
    if (timer) { stop(); return; }
    $$("play").innerHTML = "&#10074;&#10074;"; $$("play").setAttribute("aria-label", "Stop");
    setTime(0);
    timer = setInterval(() => { if (status.time >= ALL) stop(); else setTime(status.time + 1); }, 1400);
  });

  async function tell(place) {
    const corner = (p) => map.project(p, 10), nw = corner(L.latLng(data.bounds[1][0], data.bounds[0][1])), se = corner(L.latLng(data.bounds[0][0], data.bounds[1][1])), at = corner(place);
    const column = Math.floor(((at.x - nw.x) / (se.x - nw.x)) * data.size[0]), row = Math.floor(((at.y - nw.y) / (se.y - nw.y)) * data.size[1]);
    if (column < 0 || row < 0 || column >= data.size[0] || row >= data.size[1]) return;
    const read = async (key) => (await picture(key)).values[row * data.size[0] + column];
    const title = (codes, value) => (codes.find((c) => c.value === value) || { title: "unknown" }).title;
    const rows = [], event = data.event, from = source(), code = await read(from.classes);
    if (onePass()) rows.push(["Seen", stamp(data.passes[status.time].time)]);
    const likelihood = await read(from.likelihood);
    if (likelihood <= 100) rows.push(["Likelihood of water", `${likelihood} %`], ["Uncertainty", `${Math.min(likelihood, 100 - likelihood)} %`]);
    const first = await read(event.first_seen), last = await read(event.last_seen);
    if (first !== NEVER) {
      rows.push(["First seen flooded", day(data.passes[first].time)], ["Last seen flooded", day(data.passes[last].time)]);
      const [length, give] = [await read(event.duration) * data.units.duration, await read(event.duration_uncertainty) * data.units.duration_uncertainty];
      rows.push(["Duration", `${spanOf(length)} ± ${spanOf(give)}`], ["Newest look", title(data.codes.state, await read(event.state))]);
    }
    if (event.depth) { const depth = await read(event.depth); rows.push(["Depth (estimate)", depth === NEVER ? "unknown" : `${((depth * data.units.depth) / 100).toFixed(1)} m`]); }
    const looks = await read(event.observations);
    rows.push(["Looks that could tell", looks === NEVER ? "none" : `${looks * data.units.observations} of ${ALL}`], ["Ordinary times", title(data.codes.reference_water, await read(event.reference_water))]);
    const popup = document.createElement("div");
    const head = document.createElement("h3"); head.textContent = title(data.codes.flood_class, code).replace(/^./, (c) => c.toUpperCase());
    const list = document.createElement("dl");
    [...rows, ["Place", `${place.lat.toFixed(5)}, ${(((place.lng + 540) % 360) - 180).toFixed(5)}`]].forEach(([name, value]) => list.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: value })));
    popup.append(head, list);
    L.popup({ maxWidth: 320 }).setLatLng(place).setContent(popup).openOn(map);
  }
  map.on("click", (e) => tell(e.latlng));
  $$("map").addEventListener("keydown", (e) => { if (e.key === "Enter" && e.target === $$("map")) tell(map.getCenter()); });
  /* Paper has its own size: lay the map out for it before the browser takes the picture. */
  const resize = () => { map.invalidateSize({ animate: false }); fit(); view.draw(); };
  window.addEventListener("beforeprint", () => { map.closePopup(); document.body.classList.add("printing"); resize(); });
  window.addEventListener("afterprint", () => { document.body.classList.remove("printing"); resize(); });
  await refresh();
  map.invalidateSize({ animate: false }); fit(); /* the legend has taken its room only now */
})();
