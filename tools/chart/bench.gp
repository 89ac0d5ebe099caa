# Draws what settings.jq made of the bench's JSON. Loaded after it; `output` is the file.
#
# Nothing here is black or white: the chart stands on a light page and on a dark one. Text is in one
# color, that the page's own taste replaces (see run).
set terminal svg size 900,400 dynamic enhanced font 'system-ui,sans-serif,13'
set output output

ink = '#6e7781'
faint = '#a8b0b9'
set border 3 linecolor rgb faint
set grid ytics xtics linecolor rgb faint linewidth 0.3
set tics nomirror textcolor rgb ink scale 0.5
set title textcolor rgb ink offset 0,-0.3
set xlabel textcolor rgb ink offset 0,0.4
set logscale xy
set xrange [n_min * 0.98:n_max * 1.02]
set xtics ('10' 10, '100' 100, '1,000' 1000, '' 5000, '10,000' 10000)
unset key
set tmargin 2.6
set bmargin 4.6

set multiplot
set label 100 where at screen 0.985,0.03 right textcolor rgb ink font ',10'

set lmargin at screen 0.05
set rmargin at screen 0.36
set title '{/:Bold A round, in times of a bare epoll loop}'
set xlabel 'backends, all of them asked at once'
set yrange [ratio_min:ratio_max]
set ytics (1, 1.5, 2, 3, 4, 6, 8, 12, 16)
do for [i = 1:count] {
  set label i word(names, i).(word(lost, i) eq 'loses' ? ', loses answers' : '') \
    at graph 1.03, first ratio_at[i] noenhanced textcolor rgb word(colors, i)
}
plot for [i = 1:count] $figures index i - 1 using 1:2 with linespoints pointtype 7 pointsize 0.45 \
  linewidth word(widths, i) linecolor rgb word(colors, i)

unset label 100
set lmargin at screen 0.555
set rmargin at screen 0.865
set title '{/:Bold Server CPU for each backend and round, µs}'
set yrange [cpu_min:cpu_max]
set ytics (1, 2, 3, 4, 6, 8, 10, 15, 20, 30, 40, 60)
do for [i = 1:count] {
  set label i word(names, i) at graph 1.03, first cpu_at[i] noenhanced textcolor rgb word(colors, i)
}
plot for [i = 1:count] $figures index i - 1 using 1:3 with linespoints pointtype 7 pointsize 0.45 \
  linewidth word(widths, i) linecolor rgb word(colors, i)
unset multiplot
