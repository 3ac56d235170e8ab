import csv
from sim.config.load import load_hardware
import sim.config.load as L
from sim.lowering.gemm import Gemm,gemm_time
import inspect
print([n for n in dir(L) if n.startswith('load')])
from types import SimpleNamespace
rt=L.load_runtime('trtllm') if hasattr(L,'load_runtime') else None
import glob; print(glob.glob('/work/wt/me/workloads/runtimes/*'))
for n in ('h100','h200'):
    hw=load_hardware(n+'_sxm').spec
    for f in sorted(glob.glob('/work/wt/me/workloads/runtimes/*.yaml'))[:3]:
        r=L.load_runtime(f.split('/')[-1][:-5])
        m=SimpleNamespace(weight_bytes=2)
        out=[]
        for row in csv.DictReader(open(f'/work/main/validation/gpu/{n}_sxm-2026-11-26/measurements.csv')):
            if row['section']=='gemm' and row['unit']=='us':
                t=gemm_time(Gemm('x',int(row['m']),8192,8192),m,hw,r)
                gap=.8 if row['l2_state']=='warm' else 2.9
                out.append((row['m'],row['l2_state'],round(float(row['value']),1),round(t.time_ns/1e3+gap,1),'%+.1f%%'%(100*((t.time_ns/1e3+gap)/float(row['value'])-1)),t.tile,t.split))
        print(n,f.split('/')[-1]); [print(' ',o) for o in out]
