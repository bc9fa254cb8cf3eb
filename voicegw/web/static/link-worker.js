// The connection of a call, in a worker: audio goes between the socket and the audio worklets without
// passing through the page, so that drawing never delays it. Comes back by itself when it breaks.
import { PhotoLine } from "./photo-line.js";

const PROTOCOL = "voicegw.v1";
// As long as the gateway keeps a call that has lost its connection (server.resume_grace_s).
const COME_BACK_MS = 30_000;
const RETRY_MS = [100, 300, 700, 1000, 1500, 2000];
// An attempt that hangs in a dead network is given up after this long.
const ATTEMPT_MS = 4000;
// 2 s of audio that the network does not take: the connection is dead, though nobody has said so.
const MOST_UNSENT = 64_000;
// Closes that are final: the call is over, refused, or goes on elsewhere.
const FINAL = new Set([1000, 1007, 1008, 1009, 4409]);

let socket = null;
let url = "";
let first = null; // the start event of a new call
let token = "";
let over = false;
let lostAt = 0;
let tries = 0;
let speech = 0;
let held = false; // the caller holds the call
let microphone = null;
let playback = null;
let firstSent = null; // on the call's first connection: where the caller's audio begins
let timer = 0;

const tell = (news, transfer = []) => postMessage(news, transfer);

const isOpen = () => socket !== null && socket.readyState === WebSocket.OPEN;

function send(event) {
  if (isOpen()) socket.send(JSON.stringify(event));
}

const photos = new PhotoLine(send, (photo) => tell({ photo }));

function connect() {
  // The door lets a call that goes on in by its own token, which it looks for in the address.
  const address = token ? `${url.split("?")[0]}?resume_token=${token}` : url;
  const mine = new WebSocket(address, PROTOCOL);
  socket = mine;
  mine.binaryType = "arraybuffer";
  timer = setTimeout(() => mine === socket && mine.readyState === WebSocket.CONNECTING && mine.close(), ATTEMPT_MS);
  mine.onopen = () => {
    clearTimeout(timer);
    if (mine === socket && !token) send(first);
  };
  mine.onmessage = ({ data }) => mine === socket && receive(data);
  mine.onclose = ({ code, reason }) => {
    if (mine !== socket) return;
    clearTimeout(timer);
    socket = null;
    closed(code, reason);
  };
}

function receive(data) {
  if (typeof data !== "string") {
    playback.postMessage({ pcm: data, id: speech }, [data]);
    return;
  }
  const event = JSON.parse(data);
  switch (event.type) {
    case "ready":
      // The button may have been pressed while there was no connection.
      if (event.resumed) send({ type: "hold", on: held });
      token = event.resume_token;
      lostAt = 0;
      tries = 0;
      break;
    case "reply_text":
      speech = event.speech_id;
      break;
    case "mark":
      playback.postMessage({ mark: event.speech_id });
      break;
    case "pause":
    case "resume":
    case "clear":
      playback.postMessage({ [event.type]: true });
      break;
    case "hangup":
      over = true;
      break;
    default:
  }
  tell({ wire: event, firstSent });
}

function closed(code, reason) {
  if (over || FINAL.has(code) || !token) {
    over = true;
    tell({ closed: { code, reason, begun: token !== "" } });
    return;
  }
  if (!lostAt) {
    lostAt = Date.now();
    firstSent = null;
    photos.again();
    // What was not heard is sent again by the gateway.
    playback.postMessage({ clear: true });
    tell({ lost: { until: lostAt + COME_BACK_MS } });
  }
  if (Date.now() - lostAt > COME_BACK_MS) {
    over = true;
    tell({ closed: { code, reason, begun: true, gaveUp: true } });
    return;
  }
  timer = setTimeout(connect, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
  tries += 1;
}

function drop() {
  const dead = socket;
  socket = null;
  dead?.close();
  closed(1006, "");
}

function hear({ pcm, at }) {
  // The page keeps what was sent; silence takes its place while nothing is.
  if (isOpen()) {
    if (socket.bufferedAmount > MOST_UNSENT) {
      drop();
      return;
    }
    if (firstSent === null && !lostAt && tries === 0) firstSent = at;
    socket.send(pcm);
    tell({ sent: pcm, at }, [pcm]);
    if (token && !lostAt) photos.next(socket.bufferedAmount);
  }
}

// What the caller has heard of a sentence; or that they hold the call, behind the last of that.
function heard({ played, samples, hold }) {
  if (hold !== undefined) {
    held = hold;
    send({ type: "hold", on: held });
  } else {
    send(samples === undefined ? { type: "played", speech_id: played } : { type: "played", speech_id: played, samples });
  }
}

onmessage = ({ data }) => {
  if (data.open) {
    ({ url, start: first } = data.open);
    [microphone, playback] = data.open.ports;
    microphone.onmessage = (message) => hear(message.data);
    playback.onmessage = (message) => heard(message.data);
    connect();
  } else if (data.send) {
    send(data.send);
  } else if (data.photo) {
    photos.add(data.photo);
  } else if (data.offline) {
    if (isOpen()) drop();
  } else if (data.hangUp) {
    over = true;
    clearTimeout(timer);
    if (isOpen()) send({ type: "hangup", reason: "caller" });
    else {
      socket?.close();
      tell({ closed: { code: 1000, reason: "", begun: token !== "" } });
    }
  }
};
