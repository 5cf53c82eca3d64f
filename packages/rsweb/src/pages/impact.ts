// The page that says what stops, moves or loses redundancy if machines are switched off: check boxes, and a table of effects. Pure.
// Invariants: it works without a script; without an answer of the servers, it never says that all is well.

import { countedImpacts, type Impact } from '@rsio/api/manage/impact';
import { plural } from '@rsio/base/lib/units';
import { framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { byName } from '../markup/lists.ts';
import { stateBadge } from '../markup/state.ts';
import { tableOf } from '../markup/table.ts';
import type { View } from '../markup/view.ts';
import { type Choice, choiceIn, impactsOfChoice, isEmptyChoice } from '../impact/choice.ts';
import type { Picture } from '../model/picture.ts';
import type { Told } from '../impact/server-facts.ts';
import { IMPACT_BOXES_MAX } from '../limits.ts';

/** `told`: what the servers have told; null if the visitor has chosen nothing yet. */
export function impactPage(picture: Picture, view: View, told: Told | null): Html {
  const { servers, clients, pools } = picture;
  const choice = choiceIn(picture, view.query);
  const body = html`<p>Choose what is switched off. rsweb asks all servers then, and changes nothing.</p>
<form class="boxes" method="get" action="${view.path}">
${boxes('server', 'Servers', servers, choice.servers)}
${boxes('client', 'Clients', clients, choice.clients)}
${boxes(
  'pool',
  'Disks of pools',
  pools.map((pool) => ({ id: pool.id, name: `${pool.server}/${pool.name}` })),
  choice.pools,
)}
<button class="first">What stops?</button></form>
${told !== null && !isEmptyChoice(choice) && answerPart(choice, told, picture, view)}`;
  return framed({ title: 'What stops if a machine is off?', body }, picture, view);
}

interface Box {
  readonly id: string;
  readonly name: string;
}

/** The chosen ones come first among those that have a box. */
function boxes(kind: string, title: string, all: readonly Box[], chosen: readonly { readonly id: string }[]): Html | null {
  if (all.length === 0) return null;
  const ids = new Set(chosen.map(({ id }) => id));
  const first = all.filter(({ id }) => ids.has(id));
  const shown = byName([...first, ...byName(all.filter(({ id }) => !ids.has(id)))].slice(0, Math.max(IMPACT_BOXES_MAX, first.length)));
  return html`<fieldset><legend>${title}</legend>${shown.map(
    ({ id, name }) => html`<label><input type="checkbox" name="${kind}" value="${id}"${ids.has(id) && html` checked`}> ${name}</label>\n`,
  )}${shown.length < all.length && html`<p class="hint">${all.length - shown.length} further ones: rsconfig impact names all</p>`}</fieldset>`;
}

function answerPart(choice: Choice, told: Told, { machines }: Picture, view: View): Html {
  const here = machines.find(({ isLocal }) => isLocal)?.name ?? 'this machine';
  return html`<section id="impact" aria-labelledby="impact-head"><h2 id="impact-head">What happens</h2>
${choice.gone.map(({ kind, id }) => html`<p class="reason bad">There is no ${kind} ${id} any more, so that what it has is not known.</p>\n`)}${
  told.trouble === null
    ? html`${effectsPart(impactsOfChoice(choice, told), choice.gone.length > 0, view)}
<p class="hint">The servers were asked by rsiod of ${here}, with its rights. Gates and applications are those that ${here} knows.</p>`
    : html`<p class="reason bad">Nothing is known, because rsiod of ${here} could not be asked: ${told.trouble}</p>`
}
</section>`;
}

/** `isMore`: not all that was chosen is in the picture. */
function effectsPart(impacts: readonly Impact[], isMore: boolean, view: View): Html | null {
  if (impacts.length === 0) return isMore ? null : html`<p>Everything stays as it is.</p>`;
  const stops = impacts.filter(({ effect }) => effect === 'stops').length;
  const unknown = isMore || impacts.some(({ effect }) => effect === 'unknown');
  const rows = countedImpacts(impacts).map((impact, place) => ({ impact, id: String(place) }));
  const column = (key: string, title: string, cell: (impact: Impact) => Html | string) => ({
    ...{ key, title, cell: (row: (typeof rows)[number]) => cell(row.impact) },
  });
  return html`<p><strong>${stops === 0 ? 'Nothing is known to stop' : `${plural(stops, 'thing')} would stop`}${unknown && ', and not everything is known'}.</strong></p>
${tableOf(
  {
    id: 'impacts',
    caption: 'What happens',
    columns: [
      column('name', 'Name', ({ name }) => name),
      column('effect', 'Effect', ({ effect }) => stateBadge(effect)),
      column('kind', 'What', ({ kind }) => kind),
      column('to', 'Goes on at', ({ to }) => to ?? '-'),
      column('users', 'Used by', ({ users }) => users.join(' ') || '-'),
      column('why', 'Why', ({ why }) => html`<span class="wrap">${why}</span>`),
      column('first', 'What to do first', ({ first }) => (first === null ? '-' : html`<span class="wrap">${first}</span>`)),
    ],
    rows,
    rowId: ({ id }) => id,
    none: '',
  },
  view,
)}`;
}
