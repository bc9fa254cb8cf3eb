// The page's words in the caller's language. Elements say what they show: data-word, -label, -placeholder.
import en from "./words-en.js";
import vi from "./words-vi.js";

const TONGUES = { en, vi };
const KEPT = "voicegw.tongue";

export let tongue = "en";

function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

/** The word of this name; {name} in it is replaced. */
export function word(name, values = {}) {
  const found = TONGUES[tongue][name] ?? name;
  const fill = (text) => (Array.isArray(text) ? text.map(fill) : text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? ""));
  return fill(found);
}

export const hasWord = (name) => name in TONGUES[tongue];

export function seconds(ms) {
  const number = new Intl.NumberFormat(tongue, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  return `${number.format(ms / 1000)} s`;
}

export const languageName = (code) => {
  const name = new Intl.DisplayNames([tongue], { type: "language" }).of(code) ?? code;
  return name[0].toLocaleUpperCase(tongue) + name.slice(1);
};

export function translate(root) {
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of root.querySelectorAll("[data-label]")) element.setAttribute("aria-label", word(element.dataset.label));
  for (const element of root.querySelectorAll("[data-placeholder]")) element.placeholder = word(element.dataset.placeholder);
}

export function speak(chosen) {
  tongue = chosen in TONGUES ? chosen : "en";
  document.documentElement.lang = tongue;
  translate(document);
  for (const button of document.querySelectorAll("[data-tongue]")) {
    button.setAttribute("aria-pressed", String(button.dataset.tongue === tongue));
  }
}

export function choose(chosen) {
  try {
    localStorage.setItem(KEPT, chosen);
  } catch {
    // Not kept, then.
  }
  speak(chosen);
}

export const usual = () => remembered() ?? (navigator.language.toLowerCase().startsWith("vi") ? "vi" : "en");
