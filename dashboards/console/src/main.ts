import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { session } from './lib/session.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no #app');
mount(App, { target });

// The crew's page works through a dead spot. Browsers offer this over HTTPS and on this machine only.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  const { serviceWorker } = navigator;
  serviceWorker.addEventListener('controllerchange', () => {
    // What was loaded before the worker was there is kept now, and asked for once more.
    serviceWorker.controller?.postMessage({ keep: performance.getEntriesByType('resource').map(({ name }) => name) });
    if (session.current.kind === 'in') void session.refresh();
  });
  void serviceWorker.register('/sw.js').catch(() => undefined);
}
