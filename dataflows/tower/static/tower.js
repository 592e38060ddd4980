// Keeps a page up to date: the server says that something is new, the page asks for itself anew and takes over what
// differs. Elements stay the same ones, so focus, selection, open parts and what is being typed stay where they are.
"use strict";

const body = document.body;
const skew = Date.now() - Number(body.dataset.nowUs) / 1000;
let source = null;
let lost = false;
let busy = false;
let again = false;
let asked = 0;
let said = document.getElementById("announcer")?.dataset.says;

function age(us) {
  const s = Math.max(0, Math.floor((Date.now() - skew - us / 1000) / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  for (const each of document.querySelectorAll("[data-age-us]")) put(each, age(Number(each.dataset.ageUs)));
  const asOf = Number(body.dataset.asOfUs);
  const old = Date.now() - skew - asOf / 1000 > Number(body.dataset.staleAfterS) * 1000;
  const banner = document.getElementById("stale");
  if (banner === null) return;
  document.documentElement.classList.toggle("old", old || lost);
  const words = lost
    ? `The connection is lost. What you see is ${asOf ? age(asOf) + " old" : "old"}; trying again.`
    : `These figures are ${asOf ? age(asOf) + " old" : "not there yet"}. Is the analytics flow running?`;
  if (old || lost) put(document.getElementById("stale-words"), words);
  banner.hidden = !(old || lost);
}

function local(root) {
  const shape = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  for (const each of root.querySelectorAll("time[data-local]")) {
    const at = new Date(each.dateTime);
    each.title = each.dateTime;
    put(each, at.toLocaleString("en-GB", shape));
  }
  const zone = root.querySelector("[data-zone]");
  if (zone !== null) put(zone, Intl.DateTimeFormat().resolvedOptions().timeZone);
}

function attributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (name !== "open" && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

function morph(from, to) {
  attributes(from, to);
  const named = new Map();
  for (const each of from.children) if (each.id) named.set(each.id, each);
  let at = from.firstChild;
  for (const next of [...to.childNodes]) {
    const known = next.id ? named.get(next.id) : undefined;
    if (known !== undefined && known.nodeName === next.nodeName) {
      if (known === at) at = at.nextSibling;
      else from.insertBefore(known, at);
      morph(known, next);
    } else if (at !== null && at.nodeName === next.nodeName && !at.id && !next.id) {
      if (at.nodeType === Node.ELEMENT_NODE) morph(at, next);
      else if (at.data !== next.data) at.data = next.data;
      at = at.nextSibling;
    } else {
      from.insertBefore(next, at);
    }
  }
  while (at !== null) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "1" }, redirect: "manual", cache: "no-store" });
    if (answer.type === "opaqueredirect") {
      location.reload();
      return;
    }
    if (answer.status === 429 || answer.status === 503) throw new Error("later");
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (fresh.getElementById("main") === null) throw new Error("no page");
    local(fresh);
    for (const name of ["nowUs", "number", "asOfUs"]) body.dataset[name] = fresh.body.dataset[name];
    document.title = fresh.title;
    for (const name of ["main", "live", "nav-open"]) {
      const [from, to] = [document.getElementById(name), fresh.getElementById(name)];
      if (from !== null && to !== null) morph(from, to);
    }
    const says = fresh.getElementById("announcer")?.dataset.says;
    if (says !== undefined && says !== said) {
      said = says;
      document.getElementById("announcer").textContent = says;
    }
    lost = false;
  } catch {
    lost = true;
  } finally {
    busy = false;
    asked = Date.now();
    tick();
    if (again) {
      again = false;
      later();
    }
  }
}

let waiting = 0;
function later() {
  const pause = Number(document.getElementById("main").dataset.live) * 1000;
  if (pause === 0 || waiting) return;
  waiting = setTimeout(() => {
    waiting = 0;
    refresh();
  }, Math.max(0, Math.min(pause, asked + pause - Date.now())));
}

function connect() {
  if (source !== null || document.hidden) return;
  source = new EventSource("/live");
  const seen = (event) => {
    if (lost || event.data !== body.dataset.number) later();
  };
  source.addEventListener("picture", seen);
  source.addEventListener("alive", (event) => {
    seen(event);
    // Nothing is new, and it was looked at: what is shown holds until now.
    later();
  });
  source.addEventListener("over", () => location.reload());
  source.addEventListener("error", () => {
    lost = true;
    tick();
    if (source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(connect, 5000);
      later();
    }
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
  } else {
    connect();
  }
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.me[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.me[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
local(document);
tick();
setInterval(tick, 1000);
connect();
