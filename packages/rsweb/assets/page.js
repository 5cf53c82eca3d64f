// @ts-check
// Keeps an open page up to date: when /live reports a change, this script loads the page again and replaces only the elements that differ,
// which preserves focus, selection and scroll position. The script also draws plots with uPlot, adds buttons that copy commands, and
// announces new faults to screen readers. Without the script, a page shows the state when it was loaded.

/** @typedef {{ stepMs: number, timesMs: number[], series: Record<string, (number | null)[]> }} Ring */
/** @typedef {{ setData(data: (number | null)[][]): void, setSize(size: { width: number, height: number }): void, destroy(): void }} Chart */
/** @typedef {{ element: HTMLElement, chart: Chart }} Plot */

const REFRESH_MS = 1_000;
/** The page waits this many times the duration of a load before the next load, so that the loads do not fill a slow link. */
const LOAD_SHARE = 4;
const PLOTS_MS = 2_000;
const RECONNECT_MS = 2_000;
const RECONNECT_MAX_MS = 30_000;
const SAID_MS = 8_000;
/** A pointer that has been pressed for longer no longer delays changes of the page, because the script may have missed its release. */
const PRESSED_MS = 5_000;
const PLOT_HEIGHT = 168;
const DASHES = [[], [6, 3], [2, 3]];

const stillness = matchMedia('(prefers-reduced-motion: reduce)');
const darkness = matchMedia('(prefers-color-scheme: dark)');
/** @type {Plot[]} */
let plots = [];
/** Ids of the findings that were announced, or shown when the page was loaded. */
let known = new Set(findings().map(({ id }) => id));
let isLoading = false;
let isStale = false;
/** True after an urgent change, such as a new finding, until the next load begins. */
let isHurried = false;
/**
 * Timer of the pause after a load, in which only urgent changes cause another load; null after the pause.
 * @type {ReturnType<typeof setTimeout> | null}
 */
let rest = setTimeout(endRest, REFRESH_MS);
let reconnectMs = RECONNECT_MS;
/** True after a form was sent. The browser is leaving the page, and a change of the page could cancel the form. */
let isLeaving = false;
/**
 * Time at which a pointer was pressed; null if none is pressed. The page does not change meanwhile, so that no element moves under a click.
 */
let pressedMs = /** @type {number | null} */ (null);

// ---- the page

/**
 * Loads the page again: at once if the change is urgent, otherwise after the pause that follows each load. One load shows all changes
 * before it.
 * @param {boolean} isUrgent
 */
function refresh(isUrgent) {
  isStale = true;
  isHurried ||= isUrgent;
  if (isLoading || isHeld() || document.hidden || (rest !== null && !isHurried)) return;
  if (rest !== null) clearTimeout(rest);
  isLoading = true;
  isStale = false;
  isHurried = false;
  const startMs = performance.now();
  void load().finally(() => {
    isLoading = false;
    const restMs = Math.max(REFRESH_MS, LOAD_SHARE * (performance.now() - startMs));
    rest = setTimeout(endRest, restMs);
    if (isHurried) refresh(true);
  });
}

function isHeld() {
  return isLeaving || (pressedMs !== null && performance.now() - pressedMs < PRESSED_MS);
}

/** The timer waits for the click event, which follows the release of the pointer. */
function released() {
  setTimeout(() => {
    pressedMs = null;
    if (isStale) refresh(isHurried);
  }, 0);
}

function endRest() {
  rest = null;
  if (isStale) refresh(false);
}

async function load() {
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' }, credentials: 'same-origin' }).catch(() => null);
  if (answer === null) return;
  // The login has ended, so the reload leads to the login page.
  if (answer.redirected || answer.status === 401) return location.reload();
  if (!answer.ok) return;
  const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
  if (isHeld()) {
    isStale = true;
    return;
  }
  document.title = next.title;
  for (const name of ['main', 'footer']) {
    const [old, fresh] = [document.querySelector(name), next.querySelector(name)];
    if (old !== null && fresh !== null) renew(old, fresh);
  }
  offerCopies();
  announce();
}

/**
 * Makes `old` equal to `fresh`, and changes only the parts that differ.
 * @param {Element} old
 * @param {Element} fresh
 */
function renew(old, fresh) {
  if (old instanceof HTMLElement && old.dataset['plot'] !== undefined && plots.some(({ element }) => element === old)) {
    renewAttributes(old, fresh);
    return;
  }
  renewAttributes(old, fresh);
  const kept = [...old.childNodes].filter((node) => !(node instanceof HTMLElement && node.classList.contains('copy')));
  const wanted = [...fresh.childNodes];
  const named = new Map(kept.flatMap((node) => (node instanceof Element && node.id !== '' ? [[node.id, node]] : [])));
  /** @type {ChildNode | null} */
  let place = kept[0] ?? null;
  for (const node of wanted) {
    const match = node instanceof Element && node.id !== '' ? (named.get(node.id) ?? null) : place !== null && isAlike(place, node) ? place : null;
    if (match === null) {
      old.insertBefore(document.importNode(node, true), place);
      continue;
    }
    if (match === place) place = nextOf(place);
    else old.insertBefore(match, place);
    if (node instanceof Element && match instanceof Element) renew(match, node);
    else if (match.nodeValue !== node.nodeValue) match.nodeValue = node.nodeValue;
  }
  while (place !== null) {
    const gone = place;
    place = nextOf(place);
    gone.remove();
  }
}

/** @param {ChildNode} node */
function nextOf(node) {
  const next = node.nextSibling;
  return next instanceof HTMLElement && next.classList.contains('copy') ? next.nextSibling : next;
}

/**
 * @param {Node} old
 * @param {Node} fresh
 */
function isAlike(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return false;
  return !(old instanceof Element) || old.id === '';
}

/**
 * @param {Element} old
 * @param {Element} fresh
 */
function renewAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

// ---- new faults

/** @returns {{ id: string, text: string }[]} */
function findings() {
  return [...document.querySelectorAll('.finding')].map((element) => ({ id: element.id, text: element.querySelector('.what')?.textContent?.trim() ?? '' }));
}

function announce() {
  const now = findings();
  const fresh = now.filter(({ id }) => !known.has(id));
  known = new Set(now.map(({ id }) => id));
  const announcer = document.getElementById('announcer');
  if (fresh.length === 0 || announcer === null) return;
  announcer.textContent = `New: ${fresh.map(({ text }) => text).join('. ')}`;
  setTimeout(() => (announcer.textContent = ''), SAID_MS);
}

// ---- commands

function offerCopies() {
  for (const command of document.querySelectorAll('.command')) {
    if (command.querySelector('.copy') !== null) continue;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    button.setAttribute('aria-label', `Copy ${command.textContent}`);
    button.addEventListener('click', () => void copy(command, button));
    command.append(button);
  }
}

/**
 * @param {Element} command
 * @param {HTMLElement} button
 */
async function copy(command, button) {
  const code = command.querySelector('code');
  if (code === null) return;
  try {
    await navigator.clipboard.writeText(code.textContent ?? '');
    button.textContent = 'Copied';
  } catch {
    // Without permission to use the clipboard, the script selects the text, so that the user can copy it with the keyboard.
    getSelection()?.selectAllChildren(code);
    button.textContent = 'Selected';
  }
  setTimeout(() => (button.textContent = 'Copy'), PLOTS_MS);
}

// ---- plots

/** @type {Record<string, (value: number) => string>} */
const UNITS = {
  speed: (value) => `${short(value / 1e6)} MB/s`,
  rate: (value) => short(value),
  latency: (value) => (value < 1_000 ? `${short(value)} us` : value < 1e6 ? `${short(value / 1_000)} ms` : `${short(value / 1e6)} s`),
  size: (value) => {
    const power = Math.min(5, Math.max(0, Math.floor(Math.log2(Math.max(1, value)) / 10)));
    return `${short(value / 1024 ** power)}${['', 'K', 'M', 'G', 'T', 'P'][power]}`;
  },
};

/** @param {number} value */
function short(value) {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}

/** @type {Promise<boolean> | null} */
let plotter = null;

/**
 * Loads uPlot before the first plot is drawn. Resolves with false if uPlot cannot be loaded; the server's drawing then remains.
 * @returns {Promise<boolean>}
 */
function hasPlotter() {
  plotter ??= new Promise((resolve) => {
    const [style, script] = [document.createElement('link'), document.createElement('script')];
    style.rel = 'stylesheet';
    style.href = '/assets/uPlot.min.css';
    script.src = '/assets/uPlot.iife.min.js';
    script.addEventListener('load', () => resolve(true));
    script.addEventListener('error', () => {
      for (const element of [style, script]) element.remove();
      plotter = null;
      resolve(false);
    });
    document.head.append(style, script);
  });
  return plotter;
}

async function drawPlots() {
  for (const { chart } of plots) chart.destroy();
  plots = [];
  if (document.querySelector('[data-plot]') === null || !(await hasPlotter())) return;
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-plot]'))) {
    const ring = await ringOf(element);
    if (ring === null || ring.timesMs.length < 2 || !element.isConnected) continue;
    element.replaceChildren();
    plots.push({ element, chart: chartIn(element, ring) });
  }
}

/** @type {Map<string, Promise<{ rings: Ring[] } | null>>} */
const asked = new Map();

/**
 * Plots of the same object share one request.
 * @param {HTMLElement} element
 * @returns {Promise<Ring | null>}
 */
async function ringOf(element) {
  const of = element.dataset['plot'] ?? '';
  let answer = asked.get(of);
  if (answer === undefined) {
    answer = fetch(`/history.json?of=${encodeURIComponent(of)}`)
      .then((response) => (response.ok ? response.json() : null))
      .catch(() => null);
    asked.set(of, answer);
    setTimeout(() => asked.delete(of), PLOTS_MS / 2);
  }
  return (await answer)?.rings[Number(element.dataset['ring'] ?? 0)] ?? null;
}

/**
 * @param {HTMLElement} element
 * @param {Ring} ring
 * @returns {Chart}
 */
function chartIn(element, ring) {
  const style = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  const text = UNITS[element.dataset['unit'] ?? 'rate'] ?? String;
  const labels = (element.dataset['labels'] ?? '').split(' ');
  const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  const names = (element.dataset['series'] ?? '').split(' ');
  const options = {
    width: Math.max(200, element.clientWidth),
    height: PLOT_HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (/** @type {unknown} */ _, /** @type {number} */ __, /** @type {number} */ most) => [0, Math.max(1, 1.1 * (most ?? 0))] } },
    // The page shows times in GMT, like the logs.
    tzDate: (/** @type {number} */ seconds) => {
      const date = new Date(seconds * 1_000);
      return new Date(date.getTime() + date.getTimezoneOffset() * 60_000);
    },
    axes: [
      { ...axis, size: 24, gap: 4, space: 70, values: [[60, '{HH}:{mm}', null, null, null, null, null, null, 0], [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 0]] },
      { ...axis, size: 66, space: 30, values: (/** @type {unknown} */ _, /** @type {number[]} */ ticks) => ticks.map(text) },
    ],
    series: [{}, ...labels.map((label, index) => ({ label, stroke: colour(`--line-${index}`), width: 1.8, dash: DASHES[index], points: { show: false } }))],
  };
  // @ts-expect-error The file of uPlot defines this global.
  return new uPlot(options, dataOf(ring, names), element);
}

/**
 * @param {Ring} ring
 * @param {string[]} names
 */
function dataOf({ timesMs, series }, names) {
  return [timesMs.map((ms) => ms / 1_000), ...names.map((name) => series[name] ?? timesMs.map(() => null))];
}

async function renewPlots() {
  if (document.hidden) return;
  for (const { element, chart } of plots) {
    const ring = await ringOf(element);
    if (ring !== null) chart.setData(dataOf(ring, (element.dataset['series'] ?? '').split(' ')));
  }
  if (plots.length === 0 && document.querySelector('[data-plot]') !== null) await drawPlots();
}

// ---- what is live

function listen() {
  const link = document.getElementById('link');
  const source = new EventSource('/live');
  const says = (/** @type {string} */ state) => {
    if (link !== null) link.dataset['state'] = state;
  };
  source.addEventListener('open', () => {
    reconnectMs = RECONNECT_MS;
    says('on');
  });
  for (const name of ['picture', 'changes']) source.addEventListener(name, () => refresh(false));
  source.addEventListener('findings', () => refresh(true));
  source.addEventListener('error', () => {
    says('lost');
    source.close();
    setTimeout(listen, reconnectMs);
    reconnectMs = Math.min(RECONNECT_MAX_MS, 2 * reconnectMs);
  });
}

/** Starts the tasks that can wait until the page is shown. */
function start() {
  void drawPlots();
  listen();
  setInterval(() => void renewPlots(), stillness.matches ? 5 * PLOTS_MS : PLOTS_MS);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && isStale) refresh(true);
  });
  document.addEventListener('submit', () => (isLeaving = true));
  // Called when the visitor returns to a page that the browser has cached.
  addEventListener('pageshow', () => (isLeaving = false));
  document.addEventListener('pointerdown', () => (pressedMs = performance.now()), { capture: true });
  for (const end of ['pointerup', 'pointercancel']) document.addEventListener(end, released, { capture: true });
  darkness.addEventListener('change', () => void drawPlots());
  new ResizeObserver(() => {
    for (const { element, chart } of plots) chart.setSize({ width: Math.max(200, element.clientWidth), height: PLOT_HEIGHT });
  }).observe(document.body);
}

if (document.body.dataset['page'] === 'live') {
  offerCopies();
  if (document.readyState === 'complete') start();
  else addEventListener('load', start);
}
