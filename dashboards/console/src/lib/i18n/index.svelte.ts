import { en, type Key } from './en';
import { zh } from './zh';

export type Language = 'en' | 'zh';
export type { Key };

const DICTIONARIES: Record<Language, Record<Key, string>> = { en, zh };
const REMEMBERED = 'sanimon.language';

function first(): Language {
  const remembered = localStorage.getItem(REMEMBERED);
  if (remembered === 'en' || remembered === 'zh') return remembered;
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

const state = $state({ language: first() });
document.documentElement.lang = state.language === 'zh' ? 'zh-CN' : 'en';

export const language = {
  get current(): Language {
    return state.language;
  },
  set(next: Language) {
    state.language = next;
    localStorage.setItem(REMEMBERED, next);
    document.documentElement.lang = next === 'zh' ? 'zh-CN' : 'en';
  },
  /** For `Intl`. */
  get locale(): string {
    return state.language === 'zh' ? 'zh-CN' : 'en-GB';
  },
};

/** Puts values into `{places}`. */
export function fill(text: string, values: Record<string, string | number> = {}): string {
  return text.replace(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place));
}

/** A text in the current language. */
export function t(key: Key, values?: Record<string, string | number>): string {
  return fill(DICTIONARIES[state.language][key], values);
}

/** A word that the API gives: translated where a dictionary has it, else as it is. */
export function word(prefix: string, name: string): string {
  const key = `${prefix}.${name}`;
  return key in en ? t(key as Key) : name.replaceAll('_', ' ');
}

/** A text of the API that comes in both languages. */
export function both(text: { en: string; zh: string }): string {
  return text[state.language];
}

/** A metric's name: ours, or the device's own. */
export function metricName(metric: string): string {
  const key = `metric.${metric}`;
  return key in en ? t(key as Key) : metric;
}
