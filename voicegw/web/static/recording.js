// What was sent and what was played, on one time line: kept while the call runs, then played and saved.

const RATE_HZ = 16000;
// 30 minutes of both sides are 115 MB; what comes later is not kept by the page.
const MOST_SAMPLES = 30 * 60 * RATE_HZ;

export class TwoTracks {
  constructor() {
    this.parts = { caller: [], agent: [] };
    this.samples = 0;
    this.full = false;
  }

  /** Keep pcm that begins at sample `at` of the call. */
  keep(side, at, pcm) {
    const data = new Int16Array(pcm);
    if (at < 0) return;
    if (at + data.length > MOST_SAMPLES) {
      this.full = true;
      return;
    }
    this.parts[side].push({ at, data });
    this.samples = Math.max(this.samples, at + data.length);
  }

  get seconds() {
    return this.samples / RATE_HZ;
  }

  /** One side as a whole. */
  track(side) {
    const whole = new Int16Array(this.samples);
    for (const { at, data } of this.parts[side]) whole.set(data, at);
    return whole;
  }

  /** A WAV file: caller left, agent right. http://soundfile.sapp.org/doc/WaveFormat/ */
  wav() {
    const [left, right] = [this.track("caller"), this.track("agent")];
    const bytes = this.samples * 4;
    const file = new DataView(new ArrayBuffer(44 + bytes));
    const text = (at, word) => [...word].forEach((letter, i) => file.setUint8(at + i, letter.charCodeAt(0)));
    text(0, "RIFF");
    file.setUint32(4, 36 + bytes, true);
    text(8, "WAVEfmt ");
    file.setUint32(16, 16, true);
    file.setUint16(20, 1, true);
    file.setUint16(22, 2, true);
    file.setUint32(24, RATE_HZ, true);
    file.setUint32(28, RATE_HZ * 4, true);
    file.setUint16(32, 4, true);
    file.setUint16(34, 16, true);
    text(36, "data");
    file.setUint32(40, bytes, true);
    for (let i = 0; i < this.samples; i += 1) {
      file.setInt16(44 + 4 * i, left[i], true);
      file.setInt16(46 + 4 * i, right[i], true);
    }
    return new Blob([file.buffer], { type: "audio/wav" });
  }
}

/** Plays two tracks. Without an <audio>: a strict page may not load what it has made itself. */
export class Player {
  constructor(tracks, changed) {
    this.tracks = tracks;
    this.changed = changed;
    this.from = 0;
    this.source = null;
  }

  #buffer() {
    const buffer = this.context.createBuffer(2, Math.max(1, this.tracks.samples), RATE_HZ);
    ["caller", "agent"].forEach((side, channel) => {
      buffer.copyToChannel(Float32Array.from(this.tracks.track(side), (value) => value / 32768), channel);
    });
    return buffer;
  }

  get playing() {
    return this.source !== null;
  }

  get position() {
    const at = this.playing ? this.from + this.context.currentTime - this.startedAt : this.from;
    return Math.min(at, this.tracks.seconds);
  }

  async play() {
    this.context ??= new AudioContext();
    await this.context.resume();
    this.buffer ??= this.#buffer();
    if (this.from >= this.tracks.seconds - 0.05) this.from = 0;
    const source = new AudioBufferSourceNode(this.context, { buffer: this.buffer });
    // Both ears hear both voices, each a little to its side.
    const splitter = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
    source.connect(splitter);
    [-0.3, 0.3].forEach((pan, channel) => {
      const panner = new StereoPannerNode(this.context, { pan });
      splitter.connect(panner, channel);
      panner.connect(this.context.destination);
    });
    source.onended = () => {
      if (this.source !== source) return;
      this.source = null;
      this.from = 0;
      this.changed();
    };
    this.startedAt = this.context.currentTime;
    source.start(0, this.from);
    this.source = source;
    this.changed();
  }

  pause() {
    if (!this.playing) return;
    this.from = this.position;
    const source = this.source;
    this.source = null;
    source.stop();
    this.changed();
  }

  async seek(seconds) {
    const wasPlaying = this.playing;
    this.pause();
    this.from = Math.max(0, Math.min(seconds, this.tracks.seconds));
    if (wasPlaying) await this.play();
    this.changed();
  }

  close() {
    this.pause();
    this.context?.close();
    this.context = null;
    this.buffer = null;
  }
}
