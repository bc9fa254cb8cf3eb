// Makes a photo small enough to be sent within a call.

export const MOST_BYTES = 20_000_000;
export const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
// An event may have 65,536 bytes; base64 takes 4 for 3, and the event itself some.
const MOST_DATA_URL = 64_000;
// From the best that may fit to what always does; a page of print is legible at the first.
const TRIES = [1280, 1024, 896, 768, 640, 512].flatMap((edge) => [0.75, 0.6, 0.45].map((quality) => ({ edge, quality })));

/** {dataUrl, canvas} of an image file or a video frame. Throws an Error whose message is a code. */
export async function shrink(source) {
  if (source instanceof Blob) {
    if (!TYPES.includes(source.type)) throw new Error("photo_type");
    if (source.size > MOST_BYTES) throw new Error("photo_size");
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(source);
  } catch {
    throw new Error("photo_broken");
  }
  try {
    for (const { edge, quality } of TRIES) {
      const canvas = scaled(bitmap, edge);
      const dataUrl = canvas.toDataURL("image/jpeg", quality);
      if (dataUrl.length <= MOST_DATA_URL) return { dataUrl, canvas };
    }
  } finally {
    bitmap.close();
  }
  throw new Error("photo_size");
}

function scaled(bitmap, edge) {
  const scale = Math.min(1, edge / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  // Jpeg knows no transparency: what was clear becomes paper, not black.
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}
