// Photos on their way to the gateway, part by part between the frames of audio: no voice waits for a photo.
// Used within the connection's worker.

// A part at most every frame of 20 ms: 300 kB/s. On a line of 1 Mbit/s a part takes 65 ms.
const PART_BYTES = 6000;
// While the network has not taken so much of what was sent before, audio comes first.
const MOST_UNSENT = 2000;

const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

export class PhotoLine {
  /** `send` sends an event, `tell` is told {id, share} of what has gone. */
  constructor(send, tell) {
    this.send = send;
    this.tell = tell;
    this.photos = []; // {id, bytes, type, text, at}
    this.begun = 0;
  }

  add(photo) {
    this.photos.push({ ...photo, bytes: new Uint8Array(photo.bytes), at: 0 });
  }

  /** The connection was lost, and with it what was under way: the gateway has forgotten a photo that is not whole. */
  again() {
    if (this.photos.length) this.photos[0].at = 0;
  }

  /** A frame of audio has gone, `unsent` bytes wait: send a part, if there is one and room for it. */
  next(unsent) {
    const [photo] = this.photos;
    if (!photo || unsent > MOST_UNSENT) return;
    const { id, bytes, type, text, at } = photo;
    if (at === 0) this.begun += 1;
    photo.at = Math.min(at + PART_BYTES, bytes.length);
    const last = photo.at === bytes.length;
    this.send({
      type: "image",
      image_id: String(this.begun),
      media_type: type,
      data: base64(bytes.subarray(at, photo.at)),
      last,
      text: last ? text : "",
    });
    if (last) this.photos.shift();
    this.tell({ id, share: photo.at / bytes.length });
  }
}
