// What has changed from one picture to the next, element by element. Pure.
// Invariant: applied to the old picture, the changes make the new one.

import type { ListName, Picture } from '../model/picture.ts';

/** An element of a list; `value` is null if it is gone. */
export interface Change {
  readonly path: readonly [ListName, string];
  readonly value: unknown;
}

const LISTS: readonly ListName[] = ['machines', 'servers', 'clients', 'paths', 'volumes', 'pools', 'mirrors', 'events'];

/** The text of each element by its list and id, to compare the next picture with. */
export type Texts = ReadonlyMap<ListName, ReadonlyMap<string, string>>;

export function textsOf(picture: Picture): Texts {
  return new Map(LISTS.map((list) => [list, new Map(picture[list].map((element) => [element.id, JSON.stringify(element)]))]));
}

/** The findings have an order, so that the page gets them as a whole: they are not among the changes. */
export function changesBetween(before: Texts, after: Texts, picture: Picture): Change[] {
  return LISTS.flatMap((list) => {
    const [was, is] = [before.get(list), after.get(list)];
    const changed = picture[list]
      .filter(({ id }) => was?.get(id) !== is?.get(id))
      .map((value): Change => ({ path: [list, value.id], value }));
    const gone = [...(was?.keys() ?? [])].filter((id) => is?.has(id) !== true).map((id): Change => ({ path: [list, id], value: null }));
    return [...changed, ...gone];
  });
}
