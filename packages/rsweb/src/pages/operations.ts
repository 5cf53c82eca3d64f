// The pages about all operations of the daemons, made from the tables: the list, and for each operation a form, the answer or what is wrong.
// Pure. Invariants: a visitor sees only operations that the token permits; a page needs no script; what another machine has said is text.

import type { Field } from '@rsio/api/views/operation-form';
import { type ResultPart, words } from '@rsio/api/views/result-view';
import { type Operation, OPERATIONS, type Place } from '../api/operations.ts';
import { factsPart } from '../markup/facts.ts';
import { csrfField, framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { tableOf } from '../markup/table.ts';
import type { View } from '../markup/view.ts';
import { type Client, isLocal, type Picture, type Server } from '../model/picture.ts';
import { type Answered, fieldName, type Filled } from '../orders/operation-desk.ts';

const PLACES: Readonly<Record<Place, string>> = {
  server: 'The server of this machine',
  client: 'The client of this machine',
  applications: 'The applications of this machine',
  servers: 'Any server, asked by the client of this machine',
};
const EFFECTS = { view: 'shows', operate: 'operates', admin: 'administers' } as const;

export function hrefOfOperation({ place, method }: Pick<Operation, 'place' | 'method'>): string {
  return `/operations/${place}/${method}`;
}

/** What a page about a server or a client leads to, with the words for it. */
const OF_SERVER = [
  ['audit', 'Audit'],
  ['client-list', 'Clients'],
  ['peer-list', 'Peers'],
  ['job-list', 'Jobs'],
  ['replication-list', 'Replications'],
  ['farm-show', 'Shared pools'],
  ['namespace-show', 'Namespace file'],
  ['readiness', 'Ready to restart?'],
] as const;
const OF_CLIENT = [
  ['mirrors', 'Mirrors'],
  ['backups', 'Backups'],
  ['gates', 'Gates'],
  ['progress', 'Work in progress'],
] as const;

/** Links to what the server says of itself: asked directly on its machine, and otherwise through the client of this machine. */
export function serverViews({ name, namespace, machine }: Server, picture: Picture, view: View): Html {
  const isHere = isLocal(machine, picture);
  const query = `?${new URLSearchParams({ server: name, namespace, go: '1' }).toString()}`;
  return viewLinks(isHere ? 'server' : 'servers', OF_SERVER, isHere ? '' : query, view);
}

/** Links to what the client of this machine says of itself; empty for another client. */
export function clientViews({ machine }: Client, picture: Picture, view: View): Html {
  return isLocal(machine, picture) ? viewLinks('client', OF_CLIENT, '', view) : html``;
}

function viewLinks(place: Place, views: readonly (readonly [method: string, name: string])[], query: string, view: View): Html {
  const links = views.flatMap(([method, name]) => {
    const operation = OPERATIONS[place].get(method);
    if (operation === undefined || !view.mayCall(operation.role)) return [];
    return [html` \u00b7 <a href="${hrefOfOperation(operation)}${query}">${name}</a>`];
  });
  return html`${links}`;
}

export function operationsPage(picture: Picture, view: View): Html {
  const wanted = (view.query.get('text') ?? '').trim().toLowerCase();
  const fits = ({ method, entry }: Operation): boolean => `${method} ${entry.help}`.toLowerCase().includes(wanted);
  const parts = (Object.keys(PLACES) as Place[])
    .filter((place) => isThere(place, picture))
    .map((place) => {
      const rows = [...OPERATIONS[place].values()].filter((one) => view.mayCall(one.role) && fits(one)).toSorted(inOrder);
      return html`<section aria-labelledby="${place}-head"><h2 id="${place}-head">${PLACES[place]}</h2>${operationsTable(place, rows, view)}</section>`;
    });
  const body = html`<p>Everything that the daemons can do. Each operation is a command of rsadm or rsconfig, or a part of one.</p>
<form class="filter" method="get" action="${view.path}" role="search" aria-label="Operations">
<label>Name or meaning <input type="search" name="text" value="${view.query.get('text') ?? ''}" autocomplete="off"></label> <button>Filter</button></form>
${parts.length === 0 ? html`<p class="none">No daemon of this machine answers.</p>` : parts}`;
  return framed({ title: 'All operations', body }, picture, view);
}

/** True if this machine has the daemon that is asked. */
function isThere(place: Place, picture: Picture): boolean {
  const all = place === 'server' ? picture.servers : picture.clients;
  return all.some(({ machine }) => isLocal(machine, picture));
}

function inOrder(a: Operation, b: Operation): number {
  return a.method < b.method ? -1 : 1;
}

function operationsTable(place: Place, rows: readonly Operation[], view: View): Html {
  return tableOf(
    {
      id: `of-${place}`,
      caption: PLACES[place],
      columns: [
        { key: 'name', title: 'Operation', cell: (one) => html`<a href="${hrefOfOperation(one)}">${one.method}</a>` },
        { key: 'effect', title: 'Effect', cell: ({ role }) => EFFECTS[role] },
        { key: 'help', title: 'Meaning', cell: ({ entry }) => html`<span class="wrap">${entry.help}</span>` },
      ],
      rows,
      rowId: ({ method }) => method,
      none: 'No operation fits.',
    },
    view,
  );
}

/** `answered`: null if nothing was asked yet. */
export function operationPage(filled: Filled, answered: Answered | null, picture: Picture, view: View): Html {
  const { operation } = filled;
  const { place, method, entry } = operation;
  const body = html`<p>${entry.help}.</p><p class="hint">${PLACES[place]} \u00b7 ${EFFECTS[operation.role]}</p>
${answered?.trouble !== null && answered?.trouble !== undefined && html`<p class="reason bad" role="alert" id="trouble">${answered.trouble}</p>`}
${formPart(filled, answered?.parameter ?? null, picture, view)}
${answered !== null && answered.trouble === null && answerPart(answered, view)}
<p><a href="/operations">All operations</a></p>`;
  return framed({ title: method, body }, picture, view);
}

/** The page after an order. `again`: the fields that show the answer, once there is one. */
export function orderedPage(
  filled: Filled,
  answered: Answered,
  again: Readonly<Record<string, string>>,
  picture: Picture,
  view: View,
): Html {
  const href = hrefOfOperation(filled.operation);
  const hidden = Object.entries(again).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`);
  const body =
    answered.trouble !== null
      ? html`<p class="reason bad" role="alert">Not done: ${answered.trouble}</p>`
      : answered.parts === null
        ? html`<form class="card" method="post" action="${href}"><p role="status">The order takes longer.</p>${csrfField(view)}${hidden}<p class="row"><button>Look again</button></p></form>`
        : html`<p class="notice" role="status">Done: ${filled.operation.entry.help}.</p>${answerPart(answered, view)}`;
  const links = html`<p><a href="${href}">Once more, with other values</a></p><p><a href="/operations">All operations</a></p>`;
  return framed({ title: filled.operation.method, body: html`${body}${links}` }, picture, view);
}

function formPart(filled: Filled, wrong: string | null, picture: Picture, view: View): Html {
  const { operation, fields, texts } = filled;
  const isRead = operation.isRead;
  const inputs = fields.map((field) => fieldPart(field, texts[field.name] ?? '', field.name === wrong));
  return html`<form class="card fields" method="${isRead ? 'get' : 'post'}" action="${hrefOfOperation(operation)}">${!isRead && csrfField(view)}
<input type="hidden" name="go" value="1">${operation.place === 'servers' && serverFields(filled, picture, wrong === 'server')}
${inputs}
<p class="row"><button${!isRead && html` class="danger"`}>${isRead ? 'Show' : 'Go on \u2026'}</button></p></form>`;
}

function serverFields({ server, namespace }: Filled, { servers }: Picture, isWrong: boolean): Html {
  const names = [...new Set(servers.map(({ name }) => name))].toSorted();
  return html`<label for="server">server</label><input id="server" name="server" value="${server}" list="servers" required autocomplete="off"${isWrong && html` aria-invalid="true"`}>
<datalist id="servers">${names.map((name) => html`<option value="${name}"></option>`)}</datalist>
<label for="namespace">namespace</label><div><input id="namespace" name="namespace" value="${namespace}" autocomplete="off" aria-describedby="namespace-hint"><p class="hint" id="namespace-hint">If several have a server of this name</p></div>\n`;
}

function fieldPart(field: Field, text: string, isWrong: boolean): Html {
  const { name, what, isRequired } = field;
  const id = `field-${name}`;
  const common = html`id="${id}" name="${fieldName(name)}" aria-describedby="${id}-hint"${isRequired && html` required`}${isWrong && html` aria-invalid="true"`}`;
  return html`<label for="${id}">${words(name)}${!isRequired && html` <small>may be empty</small>`}</label><div>${inputOf(field, text, common)}<p class="hint" id="${id}-hint">${what}</p></div>\n`;
}

function inputOf({ kind, choices, preset, isSecret }: Field, text: string, common: Html): Html {
  const words = kind === 'flag' ? ['true', 'false'] : choices;
  if (kind === 'flag' || kind === 'choice') {
    const options = words.map((word) => html`<option value="${word}"${word === text && html` selected`}>${word}</option>`);
    return html`<select ${common}><option value="">${preset === '' ? '' : preset}</option>${options}</select>`;
  }
  if (kind === 'json') return html`<textarea ${common} rows="4" spellcheck="false">${text}</textarea>`;
  return html`<input ${common} type="${isSecret ? 'password' : 'text'}" value="${text}" placeholder="${preset}" autocomplete="off" spellcheck="false">`;
}

function answerPart({ parts }: Answered, view: View): Html {
  const shown = (parts ?? []).map((part, place) => resultPart(part, place, view));
  return html`<section id="answer" aria-labelledby="answer-head"><h2 id="answer-head">Answer</h2>
${shown.length === 0 ? html`<p>Done. There is nothing to show.</p>` : shown}</section>`;
}

function resultPart(part: ResultPart, place: number, view: View): Html {
  const heading = part.title === '' ? html`` : html`<h3>${part.title}</h3>`;
  if (part.kind === 'facts') return html`${heading}${factsPart(part.facts)}`;
  const rows = part.rows.map((cells, at) => ({ cells, id: String(at) }));
  const columns = part.columns.map((title, at) => ({
    ...{ key: String(at), title, cell: (row: (typeof rows)[number]) => html`<span class="wrap">${row.cells[at] ?? ''}</span>` },
  }));
  return html`${heading}${tableOf({ id: `answer-${place}`, caption: part.title || 'Answer', columns, rows, rowId: ({ id }) => id, none: 'None.' }, view)}`;
}
