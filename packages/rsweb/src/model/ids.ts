// The pages about the elements of a picture. Pure. Invariant: an id of any
// text makes one part of a path.

export function hrefOf(page: 'volume' | 'client' | 'server' | 'pool' | 'mirror', id: string): string {
  return `/${page}/${encodeURIComponent(id)}`;
}
