// Plays a recorded caller into the call as if it were the microphone: each stretch of voice waits until the
// agent has answered the one before it.

const RATE_HZ = 16000;
const WINDOW = 320; // 20 ms
const VOICE = 0.008; // rms of a window that is taken for voice; the samples are clean recordings
// Stretches are parted by more silence than any speaker leaves within one.
const PAUSE_WINDOWS = 45;
const EDGE_WINDOWS = 8;
const AFTER_AGENT_S = 0.7;
// A caller who gets no answer speaks on after this long.
const PATIENCE_S = 12;
const LOUDNESS = 0.35; // of what the listener hears of the caller

/** Cut a recording at its long silences: [{start, end}] in seconds. */
export function stretches(samples, rate) {
  const size = Math.round((WINDOW * rate) / RATE_HZ);
  const found = [];
  let quiet = Infinity;
  for (let start = 0, n = 0; start + size <= samples.length; start += size, n += 1) {
    let energy = 0;
    for (let i = start; i < start + size; i += 1) energy += samples[i] ** 2;
    if (Math.sqrt(energy / size) < VOICE) {
      quiet += 1;
      continue;
    }
    if (quiet > PAUSE_WINDOWS) found.push({ start: n, end: n });
    found.at(-1).end = n + 1;
    quiet = 0;
  }
  const last = Math.floor(samples.length / size);
  return found.map(({ start, end }) => ({
    start: (Math.max(0, start - EDGE_WINDOWS) * size) / rate,
    end: (Math.min(last, end + EDGE_WINDOWS) * size) / rate,
  }));
}

export class SampleCaller {
  constructor(context, into, tell) {
    this.context = context;
    this.into = into;
    this.tell = tell;
    this.next = 0;
    this.speaking = false;
    this.agentSpeaks = false;
    this.held = false;
    this.timer = 0;
    this.monitor = new GainNode(context, { gain: LOUDNESS });
    this.monitor.connect(context.destination);
  }

  async load(url) {
    const data = await (await fetch(url)).arrayBuffer();
    this.buffer = await this.context.decodeAudioData(data);
    this.stretches = stretches(this.buffer.getChannelData(0), this.buffer.sampleRate);
  }

  heard(event) {
    if (event.type === "ready" && this.next === 0) this.#wait(PATIENCE_S);
    if (event.type === "speech_started") {
      this.agentSpeaks = true;
      clearTimeout(this.timer);
    }
    if (event.type === "speech_stopped") {
      this.agentSpeaks = false;
      this.#wait(AFTER_AGENT_S);
    }
  }

  hold(on) {
    this.held = on;
    if (!on) this.#wait(AFTER_AGENT_S);
  }

  #wait(seconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#speak(), seconds * 1000);
  }

  #speak() {
    if (this.speaking || this.agentSpeaks || this.held) return;
    const stretch = this.stretches[this.next];
    if (!stretch) {
      this.tell({ done: true });
      return;
    }
    this.next += 1;
    this.speaking = true;
    const source = new AudioBufferSourceNode(this.context, { buffer: this.buffer });
    source.connect(this.into);
    source.connect(this.monitor);
    source.onended = () => {
      this.speaking = false;
      this.#wait(PATIENCE_S);
    };
    source.start(0, stretch.start, stretch.end - stretch.start);
    this.tell({ turn: this.next, of: this.stretches.length });
  }

  stop() {
    clearTimeout(this.timer);
    this.stretches = [];
  }
}
