// Makes a photo small enough to be sent within a call.

export const MOST_BYTES = 20_000_000;
export const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
// Models look at a short side of 768 px and a long one of 2048: the gateway would throw away the rest.
const SHORT_SIDE = 768;
const LONG_SIDE = 2048;
const QUALITY = 0.85;

/** {blob, canvas} of an image file or a video frame. Throws an Error whose message is a code. */
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
  const canvas = scaled(bitmap);
  bitmap.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  if (!blob) throw new Error("photo_broken");
  return { blob, canvas };
}

function scaled(bitmap) {
  const [short, long] = [bitmap.width, bitmap.height].sort((a, b) => a - b);
  const scale = Math.min(1, SHORT_SIDE / short, LONG_SIDE / long);
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
