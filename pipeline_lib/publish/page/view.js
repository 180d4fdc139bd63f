"use strict";
/* One canvas over a Leaflet map: radar below, the chosen layer on it, hatching where nothing was observed. */

const View = L.Layer.extend({
  initialize(bounds, outline) {
    this.bounds = L.latLngBounds(bounds); this.outline = outline;
    this.scene = { now: null, before: null, layer: null, unseen: null, opacity: 0.85, split: null };
  },
  onAdd(map) {
    this.canvas = L.DomUtil.create("canvas", "", map.getPane("overlayPane"));
    this.veil = document.createElement("canvas");
    map.on("move zoom viewreset resize moveend zoomend", this.draw, this);
    this.draw();
  },
  onRemove(map) {
    this.canvas.remove();
    map.off("move zoom viewreset resize moveend zoomend", this.draw, this);
  },
  show(changes) { Object.assign(this.scene, changes); if (this._map) this.draw(); },
  box() {
    const nw = this._map.latLngToContainerPoint(this.bounds.getNorthWest()), se = this._map.latLngToContainerPoint(this.bounds.getSouthEast());
    return [nw.x, nw.y, se.x - nw.x, se.y - nw.y];
  },
  draw() {
    const size = this._map.getSize(), ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.canvas, this.veil]) {
      if (canvas.width !== size.x * ratio || canvas.height !== size.y * ratio) { canvas.width = size.x * ratio; canvas.height = size.y * ratio; }
    }
    this.canvas.style.width = `${size.x}px`; this.canvas.style.height = `${size.y}px`;
    L.DomUtil.setPosition(this.canvas, this._map.containerPointToLayerPoint([0, 0]));
    const pen = this.canvas.getContext("2d"), { now, before, layer, unseen, opacity, split } = this.scene, box = this.box();
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size.x, size.y);
    const part = (from, to, draw) => { pen.save(); pen.beginPath(); pen.rect(from, 0, to - from, size.y); pen.clip(); draw(); pen.restore(); };
    const edge = split === null ? 0 : split * size.x;
    if (split !== null && before) part(0, edge, () => this.image(pen, before, box, 1));
    part(edge, size.x, () => {
      if (now) this.image(pen, now, box, 0.9);
      if (unseen) this.hatch(pen, unseen, box, size, ratio);
      if (layer) this.image(pen, layer, box, opacity, true);
    });
    this.drawOutline(pen);
  },
  trace(pen) {
    pen.beginPath();
    for (const ring of this.outline) ring.forEach(([lon, lat], i) => {
      const p = this._map.latLngToContainerPoint([lat, lon]);
      if (i) pen.lineTo(p.x, p.y); else pen.moveTo(p.x, p.y);
    });
  },
  image(pen, picture, box, alpha, crisp = false) {
    pen.globalAlpha = alpha;
    pen.imageSmoothingEnabled = !(crisp && box[2] > picture.width * 1.2);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, ...box);
    pen.globalAlpha = 1;
  },
  hatch(pen, unseen, box, size, ratio) {
    const veil = this.veil.getContext("2d");
    veil.setTransform(ratio, 0, 0, ratio, 0, 0);
    veil.globalCompositeOperation = "source-over";
    veil.clearRect(0, 0, size.x, size.y);
    veil.fillStyle = "#dfe4e8"; veil.fillRect(0, 0, size.x, size.y);
    veil.strokeStyle = "#5d6873"; veil.lineWidth = 1.5; veil.beginPath();
    const shift = Math.round(box[0] + box[1]) % 9;
    for (let at = -9; at < size.x + size.y; at += 9) { veil.moveTo(at + shift, 0); veil.lineTo(at + shift - size.y, size.y); }
    veil.stroke();
    veil.globalCompositeOperation = "destination-in";
    veil.imageSmoothingEnabled = false;
    veil.drawImage(unseen, ...box);
    /* Outside the area of interest nobody promised to look: no hatching there. */
    pen.save(); this.trace(pen); pen.clip("evenodd");
    pen.setTransform(1, 0, 0, 1, 0, 0); pen.drawImage(this.veil, 0, 0); pen.restore();
  },
  drawOutline(pen) {
    pen.lineJoin = "round";
    for (const [width, colour] of [[4, "rgba(255,255,255,.9)"], [1.8, "#17202a"]]) {
      pen.lineWidth = width; pen.strokeStyle = colour;
      this.trace(pen);
      pen.stroke();
    }
  },
});
