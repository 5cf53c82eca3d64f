// The user's commands as data. Each list line, action or answer contains a command, which perform.ts executes. Invariant: a command refers
// to objects by their names in the file, never by a position on the screen.

/** The purpose of a form. If `name` is null, the form is for a new section. */
export type FormPurpose =
  | { readonly kind: 'interface'; readonly name: string | null }
  | { readonly kind: 'namespace'; readonly name: string | null }
  | { readonly kind: 'server'; readonly namespace: string; readonly name: string | null }
  | { readonly kind: 'defaults' }
  | { readonly kind: 'explore' };

/** The key, and the address to explore in addition to the broadcasts. */
export interface ExploreRequest {
  readonly address: string | null;
  /** The port to explore; null for the port in [defaults]. */
  readonly port: number | null;
  readonly namespacekey: string | null;
}

/** A section that can be removed. */
export type Removable =
  | { readonly kind: 'interface' | 'namespace'; readonly name: string }
  | { readonly kind: 'server'; readonly namespace: string; readonly name: string };

export type Command =
  | { readonly do: 'open'; readonly screen: 'interfaces' | 'namespaces' | 'status' }
  | { readonly do: 'open-namespace'; readonly name: string }
  | { readonly do: 'edit'; readonly purpose: FormPurpose }
  | { readonly do: 'remove' | 'remove-now'; readonly what: Removable }
  | { readonly do: 'fill'; readonly key: string; readonly text: string }
  | { readonly do: 'look-at-machine' | 'add-all-interfaces' | 'start-daemon' }
  | { readonly do: 'find-namespace'; readonly request: ExploreRequest }
  | { readonly do: 'take-found'; readonly index: number }
  | { readonly do: 'find-servers' }
  | { readonly do: 'test-paths' }
  | { readonly do: 'attach' | 'detach' | 'detach-now'; readonly volume: string }
  | { readonly do: 'save' | 'save-and-leave' | 'leave' | 'end' }
  | { readonly do: 'read-file' | 'read-file-now' | 'overwrite' }
  | { readonly do: 'accept-form' | 'drop-form' | 'back' }
  | { readonly do: 'help' | 'actions' | 'close-popup' };
