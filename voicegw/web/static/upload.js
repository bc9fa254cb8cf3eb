// The page behind a one-time link that an agent gives: takes one photo for a call that goes on elsewhere.
import { hasWord, speak, usual, word } from "./i18n.js";
import { shrink } from "./photo.js";

const $ = (id) => document.getElementById(id);
let taken = null;

function show(photo) {
  taken = photo;
  $("preview").hidden = !photo;
  $("choose").hidden = photo !== null;
  $("photo-file").value = "";
  if (!photo) return;
  const { canvas } = photo;
  $("photo").width = canvas.width;
  $("photo").height = canvas.height;
  $("photo").getContext("2d").drawImage(canvas, 0, 0);
  $("photo-text").focus();
}

const failed = (text) => ($("photo-problem").textContent = text);

function over(title, lead) {
  document.body.dataset.state = "over";
  $("title").textContent = word(title);
  $("lead").textContent = word(lead);
  $("photo-ask").hidden = true;
}

async function choose() {
  failed("");
  try {
    const [file] = $("photo-file").files;
    if (file) show(await shrink(file));
  } catch (error) {
    failed(word(error.message));
  }
}

async function send(event) {
  event.preventDefault();
  if (!taken) return;
  failed("");
  $("photo-send").disabled = true;
  try {
    const query = new URLSearchParams({ text: $("photo-text").value.trim() });
    const answer = await fetch(`${location.pathname}?${query}`, { method: "POST", body: taken.blob });
    if (answer.ok) over("upload_done", "upload_done_lead");
    else if (answer.status === 404) over("upload_gone", "upload_gone_lead");
    else {
      const { code, message } = await answer.json();
      show(null);
      failed(hasWord(`photo_refused_${code}`) ? word(`photo_refused_${code}`) : message);
    }
  } catch {
    failed(word("upload_unreachable"));
  } finally {
    $("photo-send").disabled = false;
  }
}

speak(usual());
$("photo-file").addEventListener("change", choose);
$("photo-ask").addEventListener("submit", send);
$("photo-cancel").addEventListener("click", () => show(null));
// A link that was used up is answered with 404 and this page; the browser tells the status here alone.
const [loaded] = performance.getEntriesByType("navigation");
if (loaded?.responseStatus === 404) over("upload_gone", "upload_gone_lead");
