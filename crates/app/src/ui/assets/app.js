// Keeps the dashboard fresh. The router writes every part of the page as HTML; this script fetches the
// parts again and changes what differs, in place, so that focus, selection and open details stay.
"use strict";

const EVERY = 2000;
const LONGEST_WAIT = 15000;
const PATIENCE = 8000;

const freshness = document.getElementById("freshness");
const form = document.getElementById("search");
let wait = EVERY;
let timer = 0;
let searching = 0;

// The part of the page that a path of ours answers with.
async function part(path, query) {
  const url = new URL(path, document.baseURI);
  url.search = query;
  const answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const html = await answer.text();
  const part = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  if (!part) throw new Error("nothing");
  localize(part);
  return part;
}

// Moments come in UTC; people live elsewhere.
function localize(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const sameDay = at.toDateString() === new Date().toDateString();
    time.textContent = sameDay ? at.toLocaleTimeString() : at.toLocaleString();
  }
}

// Makes `old` equal to `next` without replacing what is equal already.
function morph(old, next) {
  if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName) {
    old.replaceWith(document.importNode(next, true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // What the reader has opened stays open.
    if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const rows = new Map();
  for (const child of old.children) {
    if (child.dataset.key) rows.set(child.dataset.key, child);
  }
  let at = old.firstChild;
  for (const child of next.childNodes) {
    const key = child.dataset?.key;
    const known = key && rows.get(key);
    if (known && known !== at) {
      old.insertBefore(known, at);
      at = known;
    }
    if (!at || (key && !known)) {
      old.insertBefore(document.importNode(child, true), at);
      continue;
    }
    const following = at.nextSibling;
    morph(at, child);
    at = following;
  }
  while (at) {
    const following = at.nextSibling;
    at.remove();
    at = following;
  }
}

function say(text, lost) {
  if (freshness.textContent !== text) freshness.textContent = text;
  freshness.classList.toggle("lost", lost);
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const live = document.getElementById("live");
    const next = await part("ui/live", location.search);
    const changed = live.dataset.catalogue !== next.dataset.catalogue;
    document.title = next.dataset.title;
    morph(live, next);
    if (changed) await find();
    wait = EVERY;
    say("Live", false);
  } catch {
    wait = Math.min(wait * 2, LONGEST_WAIT);
    say("The router does not answer; trying again", true);
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, wait);
}

// The catalogue with what the form says; the last question wins.
async function find() {
  const mine = ++searching;
  const query = new URLSearchParams(new FormData(form));
  const found = await part("ui/catalogue", query);
  if (mine === searching) morph(document.getElementById("found"), found);
}

async function search() {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of new FormData(form)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  history.replaceState(null, "", `${location.pathname}${text && "?"}${text}${location.hash}`);
  try {
    await find();
  } catch {
    say("The router does not answer; trying again", true);
  }
}

let typing = 0;
form.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(search, 150);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
document.addEventListener("visibilitychange", refresh);
localize(document);
timer = setTimeout(refresh, EVERY);
say("Live", false);
