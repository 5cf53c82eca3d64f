// What the manifests of packaging/kubernetes say about a container. Kubernetes reads YAML; these functions read only the form in which the
// manifests are written.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../../packaging/kubernetes/', import.meta.url));

export function readManifest(name: string): string {
  return readFileSync(`${FOLDER}${name}.yaml`, 'utf8');
}

/** Returns the lines of a container in a manifest. */
function containerIn(manifest: string, container: string): string {
  return new RegExp(`- name: ${container}\\n([^]*?)(?=\\n        - name: |\\n      volumes:)`).exec(manifest)?.[1] ?? '';
}

/** Returns the arguments of a container. */
export function argsOf(manifest: string, container: string): string[] {
  return [...containerIn(manifest, container).matchAll(/^ {12}- (--\S+)$/gm)].map(([, arg = '']) => arg);
}

export interface ManifestMount {
  readonly place: string;
  /** True if mounts of the container appear on the machine. */
  readonly isBidirectional: boolean;
}

/** Returns the folders that a container gets from its pod. */
export function mountsOf(manifest: string, container: string): ManifestMount[] {
  const mounts = [...containerIn(manifest, container).matchAll(/mountPath: ([^\s,}]+)(.*)/g)];
  return mounts.map(([, place = '', rest = '']) => ({ place, isBidirectional: rest.includes('Bidirectional') }));
}
