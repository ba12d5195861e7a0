/** The map: MapLibre on a plain background with the zones' outlines, or on tiles that the configuration names. */
import type { Feature, FeatureCollection } from 'geojson';
import { GeoJSONSource, Map as MapLibre, Marker, NavigationControl, setWorkerUrl, type LngLatBoundsLike } from 'maplibre-gl';
import 'maplibre-gl/dist/maplibre-gl.css';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?url';
import type { Device, Site, Zone } from './api/client';
import type { Language } from './i18n/index.svelte';
import { colour, rank, SHAPES, type State } from './severity';

setWorkerUrl(workerUrl);

export interface Placed {
  device: Device;
  state: State;
}

export interface TownMap {
  devices(placed: Placed[]): void;
  zones(zones: Zone[], language: Language, tiles: Site['map']): void;
  select(place: [number, number] | null): void;
  remove(): void;
}

const STATES: State[] = ['critical', 'major', 'minor', 'warning', 'ok'];
const ICON_PX = 44;

/** A device's mark as a picture: the state's shape and colour, with a light edge so that it stands out anywhere. */
function icon(state: State): ImageData {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = ICON_PX;
  const context = canvas.getContext('2d');
  if (!context) throw new Error('no 2d canvas');
  context.translate(ICON_PX * 0.1, ICON_PX * 0.1);
  context.scale((ICON_PX * 0.8) / 16, (ICON_PX * 0.8) / 16);
  const shape = new Path2D(SHAPES[state]);
  context.lineJoin = 'round';
  context.lineWidth = 3;
  context.strokeStyle = colour('card');
  context.stroke(shape);
  // No alert is a ring, as in the legend.
  context.fillStyle = colour(state === 'ok' ? 'card' : state);
  context.fill(shape);
  if (state === 'ok') {
    context.lineWidth = 2.4;
    context.strokeStyle = colour(state);
    context.stroke(shape);
  }
  return context.getImageData(0, 0, ICON_PX, ICON_PX);
}

function centre(outline: number[][]): [number, number] {
  const corners = outline.slice(0, -1);
  const sum = corners.reduce<[number, number]>((all, corner) => [all[0] + (corner[0] ?? 0), all[1] + (corner[1] ?? 0)], [0, 0]);
  return [sum[0] / corners.length, sum[1] / corners.length];
}

function bounds(points: number[][]): LngLatBoundsLike | null {
  if (points.length === 0) return null;
  const lon = points.map((point) => point[0] ?? 0);
  const lat = points.map((point) => point[1] ?? 0);
  return [Math.min(...lon), Math.min(...lat), Math.max(...lon), Math.max(...lat)];
}

const features = (list: Feature[]): FeatureCollection => ({ type: 'FeatureCollection', features: list });

export async function open(box: HTMLElement, onselect: (id: string | null) => void): Promise<TownMap> {
  const map = new MapLibre({
    container: box,
    style: { version: 8, sources: {}, layers: [{ id: 'paper', type: 'background', paint: { 'background-color': colour('paper') } }] },
    center: [119.648, 30.231],
    zoom: 13,
    attributionControl: { compact: true },
    pitchWithRotate: false,
    dragRotate: false,
  });
  map.addControl(new NavigationControl({ showCompass: false }), 'top-right');
  await map.once('load');

  map.addSource('zones', { type: 'geojson', data: features([]) });
  map.addSource('devices', { type: 'geojson', data: features([]) });
  map.addSource('selected', { type: 'geojson', data: features([]) });
  map.addLayer({ id: 'zones', type: 'fill', source: 'zones', paint: { 'fill-color': colour('accent'), 'fill-opacity': 0.09 } });
  map.addLayer({ id: 'edges', type: 'line', source: 'zones', paint: { 'line-color': colour('accent'), 'line-opacity': 0.55, 'line-width': 1.5 } });
  map.addLayer({ id: 'selected', type: 'circle', source: 'selected', paint: { 'circle-radius': 18, 'circle-color': colour('focus'), 'circle-opacity': 0.25, 'circle-stroke-color': colour('focus'), 'circle-stroke-width': 2 } });
  for (const state of STATES) map.addImage(state, icon(state), { pixelRatio: 2 });
  map.addLayer({
    id: 'devices',
    type: 'symbol',
    source: 'devices',
    layout: {
      'icon-image': ['get', 'state'],
      'icon-allow-overlap': true,
      'icon-ignore-placement': true,
      // The most urgent lies on top.
      'symbol-sort-key': ['get', 'order'],
      'icon-size': ['interpolate', ['linear'], ['zoom'], 11, 0.5, 14, 0.85, 17, 1.25],
    },
  });
  map.on('click', (event) => {
    const around: [[number, number], [number, number]] = [
      [event.point.x - 8, event.point.y - 8],
      [event.point.x + 8, event.point.y + 8],
    ];
    const hit = map.queryRenderedFeatures(around, { layers: ['devices'] });
    const best = hit.sort((a, b) => Number(b.properties.order) - Number(a.properties.order))[0];
    onselect(best ? String(best.properties.id) : null);
  });
  map.on('mousemove', 'devices', () => (map.getCanvas().style.cursor = 'pointer'));
  map.on('mouseleave', 'devices', () => (map.getCanvas().style.cursor = ''));

  let names: Marker[] = [];
  let fitted = false;
  const source = (id: string) => map.getSource(id) as GeoJSONSource;
  const fit = (points: number[][]) => {
    const box = fitted ? null : bounds(points);
    if (!box) return;
    // The panel with the layers covers the left on a wide screen, the top on a phone.
    const wide = map.getContainer().clientWidth > 700;
    const padding = wide ? { top: 50, bottom: 50, right: 60, left: 270 } : { top: 80, bottom: 30, left: 20, right: 20 };
    map.fitBounds(box, { padding, animate: false, maxZoom: 16 });
    fitted = true;
  };

  return {
    devices(placed) {
      fit(placed.map(({ device }) => [device.lon ?? 0, device.lat ?? 0]));
      source('devices').setData(
        features(
          placed.map(({ device, state }) => ({
            type: 'Feature',
            geometry: { type: 'Point', coordinates: [device.lon ?? 0, device.lat ?? 0] },
            properties: { id: device.id, state, order: 10 - rank(state) },
          })),
        ),
      );
    },
    zones(zones, language, tiles) {
      if (tiles && !map.getSource('tiles')) {
        map.addSource('tiles', { type: 'raster', tiles: [tiles.tiles_url], tileSize: 256, attribution: tiles.attribution });
        map.addLayer({ id: 'tiles', type: 'raster', source: 'tiles' }, 'zones');
      }
      const outlined = zones.filter((zone) => zone.outline.length > 3);
      fit(outlined.flatMap((zone) => zone.outline));
      source('zones').setData(
        features(outlined.map((zone) => ({ type: 'Feature', geometry: { type: 'Polygon', coordinates: [zone.outline] }, properties: {} }))),
      );
      for (const marker of names) marker.remove();
      names = outlined.map((zone) => {
        const element = document.createElement('div');
        element.className = 'zone-name';
        element.textContent = zone.name[language];
        return new Marker({ element }).setLngLat(centre(zone.outline)).addTo(map);
      });
      map.setPaintProperty('paper', 'background-color', colour('paper'));
      map.setPaintProperty('zones', 'fill-color', colour('accent'));
      map.setPaintProperty('edges', 'line-color', colour('accent'));
      for (const state of STATES) map.updateImage(state, icon(state));
    },
    select(place) {
      source('selected').setData(
        features(place ? [{ type: 'Feature', geometry: { type: 'Point', coordinates: place }, properties: {} }] : []),
      );
      if (place && !map.getBounds().contains(place)) map.easeTo({ center: place });
    },
    remove() {
      map.remove();
    },
  };
}
