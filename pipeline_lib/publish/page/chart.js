"use strict";
/* Area over time, as an SVG that can be read without colour and reached without a mouse. */

function drawChart(box, series, choose) {
  const W = 320, H = 190, L = 42, R = 10, T = 12, B = 30;
  const times = series.map((s) => Date.parse(s.time));
  const first = Math.min(...times), span = Math.max(Math.max(...times) - first, 1);
  const top = Math.max(...series.map((s) => Math.max(s.flood_so_far_km2, s.flood_high_km2)), 1e-6) * 1.08;
  const x = (t) => (series.length === 1 ? (L + W - R) / 2 : L + 8 + ((t - first) / span) * (W - L - R - 16));
  const y = (v) => H - B - (v / top) * (H - T - B);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const add = (name, attributes, text) => {
    const node = document.createElementNS(svg.namespaceURI, name);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    if (text !== undefined) node.textContent = text;
    svg.append(node);
    return node;
  };
  svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-label", "Flooded area over time; the table of passes holds the numbers");
  const step = niceStep(top / 4);
  for (let v = 0; v <= top; v += step) {
    add("line", { x1: L, x2: W - R, y1: y(v), y2: y(v), stroke: v ? "#e3e7ea" : "#8794a1" });
    add("text", { x: L - 6, y: y(v) + 4, "text-anchor": "end" }, v.toLocaleString("en", { maximumFractionDigits: 2 }));
  }
  const line = (key, colour, dash) => add("polyline", {
    points: series.map((s, i) => `${x(times[i])},${y(s[key])}`).join(" "), fill: "none", stroke: colour, "stroke-width": 2.5, "stroke-dasharray": dash,
  });
  line("flood_so_far_km2", "#55616e", "5 4");
  line("flood_now_km2", "#0b4f6c", "none");
  const dots = series.map((s, i) => {
    add("line", { x1: x(times[i]), x2: x(times[i]), y1: y(s.flood_low_km2), y2: y(s.flood_high_km2), stroke: "#d73027", "stroke-width": 2, opacity: 0.75 });
    const words = `${stamp(s.time)}: this pass ${short(s.flood_km2)} km² (likely ${short(s.flood_low_km2)} to ${short(s.flood_high_km2)}), then in all ${short(s.flood_now_km2)} km²`;
    const dot = add("circle", { cx: x(times[i]), cy: y(s.flood_km2), r: 5.5, fill: "#d73027", class: "dot", tabindex: 0, role: "button", "aria-label": words });
    dot.append(Object.assign(document.createElementNS(svg.namespaceURI, "title"), { textContent: words }));
    dot.addEventListener("click", () => choose(i));
    dot.addEventListener("keydown", (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); choose(i); } });
    return dot;
  });
  const marks = series.length > 1 ? [0, series.length - 1] : [0];
  marks.forEach((i, n) => add("text", { x: x(times[i]), y: H - 10, "text-anchor": series.length === 1 ? "middle" : n ? "end" : "start" }, day(series[i].time)));
  const key = document.createElement("div");
  key.className = "key";
  key.innerHTML = '<span><i style="border-color:#d73027"></i>this pass, likely range</span><span><i style="border-color:#0b4f6c"></i>at that time</span><span><i style="border-color:#55616e;border-top-style:dashed"></i>so far</span><span>km²</span>';
  box.replaceChildren(svg, key);
  return (index) => dots.forEach((dot, i) => dot.classList.toggle("on", i === index));
}

function niceStep(raw) {
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= raw);
}

const short = (v) => (v >= 100 ? Math.round(v).toLocaleString("en") : v >= 10 ? v.toFixed(1) : v.toFixed(v && v < 1 ? 2 : 1).replace(/\.0$/, ""));
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const day = (iso) => { const d = new Date(iso); return `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`; };
const stamp = (iso) => { const d = new Date(iso); const two = (n) => String(n).padStart(2, "0"); return `${day(iso)} ${d.getUTCFullYear()}, ${two(d.getUTCHours())}:${two(d.getUTCMinutes())} UTC`; };
