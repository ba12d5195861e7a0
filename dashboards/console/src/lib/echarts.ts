/** The parts of ECharts that this console uses; loaded when a chart is shown. */
import { LineChart } from 'echarts/charts';
import { DataZoomInsideComponent, GridComponent, MarkAreaComponent, TooltipComponent } from 'echarts/components';
import { init, use, type EChartsCoreOption } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';

use([LineChart, GridComponent, TooltipComponent, MarkAreaComponent, DataZoomInsideComponent, CanvasRenderer]);

export interface ChartHandle {
  set(option: EChartsCoreOption): void;
  resize(): void;
  dispose(): void;
}

export function open(box: HTMLElement): ChartHandle {
  const chart = init(box);
  return {
    set: (option) => chart.setOption(option, { notMerge: true }),
    resize: () => chart.resize(),
    dispose: () => chart.dispose(),
  };
}
