/** Sound and desktop notices for critical alerts. Off until somebody asks for them: a browser allows neither before. */
import type { Alert } from './api/client';
import { both } from './i18n/index.svelte';
import { go } from './router.svelte';

const REMEMBERED = 'sanimon.notices';
/** Two tones, a fourth apart: heard across a room, and no siren. */
const TONES_HZ = [660, 880];
const TONE_S = 0.18;

const state = $state({ on: localStorage.getItem(REMEMBERED) === 'on' });
let audio: AudioContext | null = null;

function sound(): void {
  audio ??= new AudioContext();
  if (audio.state === 'suspended') void audio.resume();
  TONES_HZ.forEach((hz, index) => {
    const [tone, volume] = [audio!.createOscillator(), audio!.createGain()];
    const from = audio!.currentTime + index * TONE_S;
    tone.frequency.value = hz;
    volume.gain.setValueAtTime(0.0001, from);
    volume.gain.exponentialRampToValueAtTime(0.25, from + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, from + TONE_S);
    tone.connect(volume).connect(audio!.destination);
    tone.start(from);
    tone.stop(from + TONE_S);
  });
}

export const notices = {
  get on(): boolean {
    return state.on;
  },
  async toggle(): Promise<void> {
    state.on = !state.on;
    localStorage.setItem(REMEMBERED, state.on ? 'on' : 'off');
    if (!state.on) return;
    sound();
    if ('Notification' in window && Notification.permission === 'default') await Notification.requestPermission();
  },
  /** Tells of the critical ones among alerts that were just raised. */
  tell(raised: Alert[]): void {
    const critical = raised.filter((alert) => alert.severity === 'critical');
    const first = critical[0];
    if (!state.on || !first) return;
    sound();
    if (!('Notification' in window) || Notification.permission !== 'granted') return;
    const more = critical.length > 1 ? ` (+${critical.length - 1})` : '';
    const notice = new Notification(`${both(first.title)}${more}`, { body: first.device?.name || first.device?.id || first.zone || '', tag: `sanimon-${first.id}` });
    notice.onclick = () => {
      window.focus();
      go(`/?alert=${first.id}`);
    };
  },
};
