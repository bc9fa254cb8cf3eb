// The microphones and speakers to choose from. Browsers name them only once the microphone was allowed.
import { element } from "./figures.js";
import { word } from "./i18n.js";

export const TYPE_ONLY = "none";

export const canChooseSpeaker = "setSinkId" in (window.AudioContext?.prototype ?? {});

async function devices(kind) {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const all = await navigator.mediaDevices.enumerateDevices();
  // "default" stands for one of the others, and is what choosing nothing means.
  return all.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default");
}

function fill(select, options) {
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, text]) => element("option", { value, text })));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

export async function fillDevices(microphones, speakers) {
  const named = (list, name) => list.map((device, i) => [device.deviceId, device.label || word(name, { n: i + 1 })]);
  fill(microphones, [
    ["", word("system_default")],
    ...named(await devices("audioinput"), "microphone_n"),
    [TYPE_ONLY, word("no_microphone")],
  ]);
  fill(speakers, [["", word("system_default")], ...named(await devices("audiooutput"), "speaker_n")]);
}
