import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The API of a running sanimon, for `npm run dev`.
const API = process.env.SANIMON_API ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // The map and the charts are large and load when a page needs them; the budget is for what comes first.
    chunkSizeWarningLimit: 1400,
  },
  // Components are tested as a browser runs them.
  resolve: process.env.VITEST ? { conditions: ['browser'] } : {},
  test: { environment: 'happy-dom' },
  server: { proxy: { '/api': API, '/readyz': API } },
});
