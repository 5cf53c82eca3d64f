// Finds the changes between two pictures, element by element. Pure.
// Invariant: the old picture with all changes applied equals the new one.

import type { ListName, Picture } from '../model/picture.ts';

/** A changed element of a list; `value` is null if the element was removed. */
export interface Change {
  readonly path: readonly [ListName, string];
  readonly value: unknown;
}

const LISTS: readonly ListName[] = ['machines', 'servers', 'clients', 'paths', 'volumes', 'pools', 'mirrors', 'applications', 'events'];

/** For each list, a map. Key: id of an element. Value: the JSON text of the element, which is compared with the next picture. */
export type Texts = ReadonlyMap<ListName, ReadonlyMap<string, string>>;

export function textsOf(picture: Picture): Texts {
  return new Map(LISTS.map((list) => [list, new Map(picture[list].map((element) => [element.id, JSON.stringify(element)]))]));
}

/**
 * Returns the changes of all lists except the findings. The order of the findings matters, so a page always gets the whole list of
 * findings.
 */
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
