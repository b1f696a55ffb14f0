// Uploads pictures with progress, and shows each as soon as it is settled.

import { toDataUrl } from "./thumbhash.mjs";

const POLL_MILLISECONDS = 1000;
const ATTEMPTS = 3;
const figures = document.querySelector("#figures");

async function upload(file) {
  const line = document.querySelector("#uploads").appendChild(document.createElement("p"));
  const show = (text) => { line.textContent = `${file.name}: ${text}`; };
  try {
    show("starting");
    const imageId = await sent(file, (share) => show(`${Math.round(100 * share)} %`));
    show("processing");
    figures.prepend(await settled(imageId));
    showPlaceholders(figures);
    line.remove();
  } catch (error) {
    show(error.message);
  }
}

class Refused extends Error {}

// The key names the image, so that a repeat after a lost answer makes no second one.
async function sent(file, progress) {
  const key = crypto.randomUUID();
  let ticket;
  for (let attempt = 1; ; attempt += 1) {
    try {
      ticket ??= await requestUpload(file, key);
      await send(ticket, file, progress);
      return ticket.imageId;
    } catch (error) {
      if (error instanceof Refused || attempt === ATTEMPTS) throw error;
    }
  }
}

async function requestUpload(file, key) {
  const wanted = {
    filename: file.name,
    contentType: file.type || "application/octet-stream",
    size: file.size,
  };
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  const answer = await fetch("/uploads", { method: "POST", headers, body: JSON.stringify(wanted) });
  const body = await answer.json().catch(() => ({ text: answer.statusText }));
  if (!answer.ok) throw new Refused(body.text);
  return body;
}

// XMLHttpRequest reports the progress of an upload; fetch does not.
function send(ticket, file, progress) {
  const form = new FormData();
  for (const [name, value] of Object.entries(ticket.fields)) form.append(name, value);
  form.append("file", file); // the last field: S3 reads no further
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onload = () =>
      request.status < 300 ? resolve() : reject(new Refused(`refused (${request.status})`));
    request.onerror = () => reject(new Error("the connection failed"));
    request.open("POST", ticket.url);
    request.send(form);
  });
}

async function settled(imageId) {
  for (;;) {
    const answer = await fetch(`/pictures/${imageId}`);
    if (!answer.ok) throw new Error(await answer.text());
    if (answer.status === 200) {
      const template = document.createElement("template");
      template.innerHTML = await answer.text(); // the server has escaped it
      return template.content;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
}

function showPlaceholders(within) {
  for (const image of within.querySelectorAll("img[data-placeholder]")) {
    if (!image.complete) {
      image.style.backgroundImage = `url(${toDataUrl(image.dataset.placeholder)})`;
      image.onload = () => { image.style.background = "none"; };
    }
  }
}

document.querySelector("#files").onchange = (event) => [...event.target.files].forEach(upload);
showPlaceholders(figures);
