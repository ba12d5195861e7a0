import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// The API of a running sanimon, for `npm run dev`.
const API = process.env.SANIMON_API ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // The map and the charts are large and load when a page needs them; the budget is for what comes first.
    chunkSizeWarningLimit: 1400,
  },
  server: { proxy: { '/api': API, '/readyz': API } },
});
