import { defineConfig } from 'vitest/config';

const conditions = ['@rsio/source'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: { include: ['packages/*/src/**/*.test.ts'] },
});
