"use strict";
/* Pictures: 8-bit values in, colours out. Values stay readable, so that a click can say what a pixel is. */

const RAMPS = {
  likelihood: ["#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"],
  uncertainty: ["#fffdf5", "#fee391", "#fb9a29", "#cc4c02", "#662506"],
  duration: ["#fee8c8", "#fdbb84", "#ef6548", "#b30000", "#5b0000"],
  depth: ["#d4f0f7", "#7ccbe0", "#2b8cbe", "#084081", "#041f45"],
  observations: ["#efedf5", "#bcbddc", "#807dba", "#54278f", "#2f0f5d"],
  age: ["#e5f5e0", "#a1d99b", "#41ab5d", "#006d2c", "#00341a"],
  first_seen: ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"],
};

function mix(ramp, share) {
  const at = Math.min(Math.max(share, 0), 1) * (ramp.length - 1);
  const low = Math.min(Math.floor(at), ramp.length - 2);
  const parts = [1, 3, 5].map((i) => {
    const a = parseInt(ramp[low].slice(i, i + 2), 16), b = parseInt(ramp[low + 1].slice(i, i + 2), 16);
    return Math.round(a + (b - a) * (at - low));
  });
  return [...parts, 255];
}

async function decoded(uri) {
  const image = new Image();
  image.src = uri;
  await image.decode();
  return image;
}

/* Draw an image once and keep its grey values. */
async function readPicture(uri) {
  const image = await decoded(uri);
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  const rgba = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  const values = new Uint8Array(rgba.length / 4);
  for (let i = 0; i < values.length; i++) values[i] = rgba[4 * i + 3] ? rgba[4 * i] : 0;
  return { width: canvas.width, height: canvas.height, values };
}

/* Values to a coloured canvas by a table of 256 colours. */
function paint(picture, table) {
  const canvas = document.createElement("canvas");
  canvas.width = picture.width; canvas.height = picture.height;
  const pen = canvas.getContext("2d"), sheet = pen.createImageData(picture.width, picture.height);
  const words = new Uint32Array(sheet.data.buffer), packed = new Uint32Array(256);
  table.forEach((c, value) => { packed[value] = ((c[3] << 24) | (c[2] << 16) | (c[1] << 8) | c[0]) >>> 0; });
  for (let i = 0; i < words.length; i++) words[i] = packed[picture.values[i]];
  pen.putImageData(sheet, 0, 0);
  return canvas;
}

const CLEAR = [0, 0, 0, 0];
const emptyTable = () => Array.from({ length: 256 }, () => CLEAR);

function codeTable(codes) {
  const table = emptyTable();
  codes.forEach((code) => { table[code.value] = code.colour; });
  return table;
}

function rampTable(ramp, largest, smallest = 0) {
  const table = emptyTable();
  for (let value = smallest; value <= Math.min(largest, 250); value++) {
    table[value] = mix(ramp, largest > smallest ? (value - smallest) / (largest - smallest) : 1);
  }
  return table;
}

/* Radar: grey 1 to 255 is backscatter; 0, and clear in the picture, is not observed. */
const SEEN = 1;
function greyTable() {
  const table = emptyTable();
  for (let value = SEEN; value < 256; value++) table[value] = [value, value, value, 255];
  return table;
}

function maskTable(value) {
  const table = emptyTable();
  table[value] = [0, 0, 0, 255];
  return table;
}

function largestOf(picture) {
  let largest = 0;
  for (const value of picture.values) if (value > largest && value < 251) largest = value;
  return largest;
}
