// Pictures compared in the browser that took them, so that no image library is needed. A picture is halved (each pixel the mean of
// four) and cut into tiles; two tiles are alike when their mean colours are, also where one of them stands a pixel aside. So
// the edges of letters, which differ from machine to machine, do not count, and what a person would see does.
(() => {
  const TILE = 8; // halved pixels, 16 of the page
  const TOLERANCE = 17; // of 255, in any of red, green and blue; black on white that stands a pixel aside makes 16
  const SHIFT = 1; // halved pixels
  const COLOURS = 128;
  const NEAR = 8; // of 255

  async function read(base64) {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, bitmap.width, bitmap.height);
  }

  function halved({ data, width, height }) {
    const half = { width: width >> 1, height: height >> 1 };
    half.data = new Uint8ClampedArray(half.width * half.height * 4);
    for (let y = 0; y < half.height; y++) for (let x = 0; x < half.width; x++) {
      const from = (2 * y * width + 2 * x) * 4;
      const to = (y * half.width + x) * 4;
      for (let c = 0; c < 3; c++) half.data[to + c] = (data[from + c] + data[from + 4 + c] + data[from + width * 4 + c] + data[from + width * 4 + 4 + c] + 2) >> 2;
      half.data[to + 3] = 255;
    }
    return half;
  }

  /** The picture with few colours: its palette and one index for each pixel, in base64. */
  function packed({ data, width, height }) {
    const buckets = new Map();
    for (let at = 0; at < data.length; at += 4) {
      const key = ((data[at] >> 4) << 8) | ((data[at + 1] >> 4) << 4) | (data[at + 2] >> 4);
      const sum = buckets.get(key) ?? [0, 0, 0, 0];
      sum[0] += data[at]; sum[1] += data[at + 1]; sum[2] += data[at + 2]; sum[3] += 1;
      buckets.set(key, sum);
    }
    const common = [...buckets].sort((one, other) => other[1][3] - one[1][3] || one[0] - other[0]);
    // The most common ones that are not nearly one of those before: so a small red mark keeps its red beside much grey.
    const palette = [];
    for (const [, [r, g, b, n]] of common) {
      const colour = [Math.round(r / n), Math.round(g / n), Math.round(b / n)];
      if (palette.length < COLOURS && palette.every((other) => apart(other, colour) > NEAR)) palette.push(colour);
    }
    const index = new Map();
    const nearest = (r, g, b) => {
      let best = 0;
      let least = Infinity;
      palette.forEach(([pr, pg, pb], at) => {
        const distance = (r - pr) ** 2 + (g - pg) ** 2 + (b - pb) ** 2;
        if (distance < least) [least, best] = [distance, at];
      });
      return best;
    };
    const pixels = new Uint8Array(width * height);
    for (let at = 0; at < pixels.length; at++) {
      const [r, g, b] = [data[at * 4], data[at * 4 + 1], data[at * 4 + 2]];
      const key = (r << 16) | (g << 8) | b;
      if (!index.has(key)) index.set(key, nearest(r, g, b));
      pixels[at] = index.get(key);
    }
    let text = "";
    for (let at = 0; at < pixels.length; at += 32768) text += String.fromCharCode(...pixels.subarray(at, at + 32768));
    return { width, height, palette, pixels: btoa(text) };
  }

  function mean({ data, width, height }, left, top) {
    const sum = [0, 0, 0];
    let count = 0;
    for (let y = Math.max(0, top); y < Math.min(height, top + TILE); y++) for (let x = Math.max(0, left); x < Math.min(width, left + TILE); x++) {
      const at = (y * width + x) * 4;
      sum[0] += data[at]; sum[1] += data[at + 1]; sum[2] += data[at + 2];
      count += 1;
    }
    return sum.map((value) => value / count);
  }

  const apart = (one, other) => Math.max(...one.map((value, at) => Math.abs(value - other[at])));

  function isAlike(kept, now, x, y) {
    const wanted = mean(kept, x, y);
    if (apart(wanted, mean(now, x, y)) <= TOLERANCE) return true;
    for (let dy = -SHIFT; dy <= SHIFT; dy++) for (let dx = -SHIFT; dx <= SHIFT; dx++) if (apart(wanted, mean(now, x + dx, y + dy)) <= TOLERANCE) return true;
    return false;
  }

  /** Where the tiles of two halved pictures differ, and a picture of it: what is now, faint, and those tiles framed. */
  async function differences(kept, now) {
    const size = [kept, now].map(({ width, height }) => `${width} × ${height}`);
    if (size[0] !== size[1]) return { size, tiles: [], picture: "" };
    const tiles = [];
    for (let y = 0; y < kept.height; y += TILE) for (let x = 0; x < kept.width; x += TILE) if (!isAlike(kept, now, x, y)) tiles.push([x * 2, y * 2]);
    return { size: null, tiles, picture: tiles.length ? await drawn(now, tiles) : "" };
  }

  async function drawn(now, tiles) {
    const canvas = new OffscreenCanvas(now.width, now.height);
    const context = canvas.getContext("2d");
    context.putImageData(new ImageData(now.data, now.width, now.height), 0, 0);
    context.fillStyle = "rgb(255 0 120 / .45)";
    for (const [x, y] of tiles) context.fillRect(x / 2, y / 2, TILE, TILE);
    const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return btoa(text);
  }

  window.pictures = {
    pack: async (taken) => packed(halved(await read(taken))),
    compare: async (kept, taken) => differences(await read(kept), halved(await read(taken))),
  };
})();
