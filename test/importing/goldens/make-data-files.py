"""
Small models whose weights are in data files beside the graph, and what PyTorch answers with them.

Needs Python 3.11 with torch 2.15, onnx 1.23.2 and onnxscript:

    OMP_NUM_THREADS=1 python test/importing/goldens/make-data-files.py folder

Writes more models than data-files/ has: the larger ones are left out there. The weights are random, from a seed. The
graphs are those of torch.onnx.export(dynamo=True), as it writes them, or saved again by the onnx package.
"""
import os, json, shutil, warnings, logging, sys
warnings.filterwarnings('ignore'); logging.disable(logging.CRITICAL)
import numpy as np, torch, onnx
from torch import nn
OUT=sys.argv[1]; shutil.rmtree(OUT,ignore_errors=True)
DT={np.dtype('float32'):'FP32',np.dtype('int64'):'INT64',np.dtype('float16'):'FP16',np.dtype('float64'):'FP64',np.dtype('bool'):'BOOL',np.dtype('int32'):'INT32'}
def tens(n,a): return dict(name=n,datatype=DT[a.dtype],shape=list(a.shape),data=a.astype(float).reshape(-1).tolist() if a.dtype.kind=='f' else a.reshape(-1).tolist())
def folder(name,hub=False):
    d=f'{OUT}/{name}/'+('onnx' if hub else '1'); os.makedirs(d); return d
def finish(name,cases,tol=1e-5,hub=False):
    base=f'{OUT}/{name}'
    json.dump(dict(source=f'torch {torch.__version__}',tolerance=tol,cases=[dict(input=dict(tensors=[tens(k,v) for k,v in i.items()]),expect=dict(tensors={k:v.astype(float).reshape(-1).tolist() for k,v in o.items()})) for i,o in cases]),open((base if hub else base+'/1')+'/golden.json','w'))
    ex=json.dumps(dict(tensors=[tens(k,v) for k,v in cases[0][0].items()]))
    open(base+'/model.yaml','w').write('task: tensor\nexample: '+ex+'\n')
def cases_of(m,mk,names,n=3):
    r=[]
    for k in range(n):
        a=mk(k); o=m(*a); o=o if isinstance(o,tuple) else (o,)
        r.append((dict(zip(names,[t.numpy() for t in a])),{f'y{i}' if len(o)>1 else 'y':t.detach().numpy() for i,t in enumerate(o)}))
    return r
def export(m,args,names,path,dyn=None,**kw):
    torch.onnx.export(m,args,path,dynamo=True,verbose=False,input_names=names,output_names=['y'],dynamic_shapes=dyn,**kw)
def torch_case(name,m,mk,names,dyn,tol=1e-5,hub=False,file='model.onnx',post=None,**kw):
    torch.manual_seed(1); m=m.eval(); d=folder(name,hub)
    with torch.no_grad():
        export(m,mk(0),names,f'{d}/{file}',dyn,**kw)
        cs=cases_of(m,mk,names)
    if post: post(d)
    finish(name,cs,tol,hub); print(name,sorted(os.listdir(d)))
B={0:torch.export.Dim('N')}
R=lambda *s:torch.randn(*s)
def mk1(*s): return lambda k:(torch.randn(2+0*k if k==0 else 1,*s),)
torch.manual_seed(0)
mlp=lambda:nn.Sequential(nn.Linear(64,96),nn.ReLU(),nn.Linear(96,5))
torch_case('mlp',mlp(),mk1(64),['x'],(B,))
torch_case('mlp-renamed',mlp(),mk1(64),['x'],(B,),file='net.onnx',post=lambda d:os.rename(d+'/net.onnx',d+'/model.onnx'))
torch_case('hub-data',mlp(),mk1(64),['x'],(B,),hub=True,file='model.onnx',post=lambda d:onnx.save_model(onnx.load(d+'/model.onnx'),d+'/model.onnx',save_as_external_data=True,location='model.onnx_data') or os.remove(d+'/model.onnx.data'))
torch_case('conv',nn.Sequential(nn.Conv2d(3,16,3,padding=1),nn.BatchNorm2d(16),nn.ReLU(),nn.AdaptiveAvgPool2d(1),nn.Flatten(),nn.Linear(16,10),nn.Softmax(1)),mk1(3,32,32),['x'],(B,))
class LSTM(nn.Module):
    def __init__(s): super().__init__(); s.l=nn.LSTM(8,32,batch_first=True); s.o=nn.Linear(32,2)
    def forward(s,x): return s.o(s.l(x)[0][:,-1])
torch_case('lstm',LSTM(),mk1(12,8),['x'],(B,))
class Emb(nn.Module):
    def __init__(s): super().__init__(); s.e=nn.Embedding(500,32); s.o=nn.Linear(32,4)
    def forward(s,ids): return s.o(s.e(ids).mean(1))
torch_case('embedding',Emb(),lambda k:(torch.randint(0,500,(2 if k==0 else 1,7)),),['ids'],(B,))
torch_case('transformer',nn.TransformerEncoder(nn.TransformerEncoderLayer(32,4,64,batch_first=True),2),mk1(6,32),['x'],(B,),tol=1e-4)
class F64(nn.Module):
    def __init__(s): super().__init__(); s.w=nn.Parameter(torch.randn(64,40,dtype=torch.float64))
    def forward(s,x): return x.double()@s.w
torch_case('float64',F64(),mk1(64),['x'],(B,))
class Gru(nn.Module):
    def __init__(s): super().__init__(); s.l=nn.GRU(8,24,batch_first=True,bidirectional=True)
    def forward(s,x): return s.l(x)[0]
torch_case('gru',Gru(),mk1(5,8),['x'],(B,))
torch_case('layernorm-gelu',nn.Sequential(nn.Linear(32,128),nn.GELU(),nn.LayerNorm(128),nn.Linear(128,8)),mk1(32),['x'],(B,))
class Two(nn.Module):
    def __init__(s): super().__init__(); s.a=nn.Linear(20,32); s.b=nn.Linear(30,32)
    def forward(s,x,z): return torch.tanh(s.a(x)+s.b(z))
torch_case('two-inputs',Two(),lambda k:(torch.randn(2 if k==0 else 1,20),torch.randn(2 if k==0 else 1,30)),['x','z'],(B,B))
class Const(nn.Module):
    def __init__(s): super().__init__(); s.register_buffer('ix',torch.randint(0,64,(100,))); s.l=nn.Linear(100,3)
    def forward(s,x): return s.l(x[:,s.ix])
torch_case('int64-buffer',Const(),mk1(64),['x'],(B,))
# re-saved by the onnx package
def resave(**kw):
    def f(d):
        m=onnx.load(d+'/model.onnx'); [os.remove(d+'/'+x) for x in os.listdir(d)]
        onnx.save_model(m,d+'/model.onnx',save_as_external_data=True,**kw)
    return f
torch_case('one-file-per-tensor',mlp(),mk1(64),['x'],(B,),post=resave(all_tensors_to_one_file=False,size_threshold=0))
torch_case('all-external',mlp(),mk1(64),['x'],(B,),post=resave(location='weights.bin',size_threshold=0))
torch_case('attributes-external',nn.Sequential(nn.Conv2d(3,16,3),nn.Hardswish(),nn.Flatten(),nn.Linear(16*36,4)),mk1(3,8,8),['x'],(B,),post=resave(location='w.data',size_threshold=0,convert_attribute=True))
def tofp16(d):
    m=onnx.load(d+'/model.onnx'); [os.remove(d+'/'+x) for x in os.listdir(d)]
    from onnx import numpy_helper as nh, helper as h, TensorProto as T
    for t in m.graph.initializer:
        if t.data_type==T.FLOAT: t.CopyFrom(nh.from_array(nh.to_array(t).astype(np.float16),t.name))
    casts=[]; 
    for t in list(m.graph.initializer):
        if t.data_type==T.FLOAT16: casts.append(h.make_node('Cast',[t.name],[t.name+'_32'],to=T.FLOAT))
    names={t.name for t in m.graph.initializer if t.data_type==T.FLOAT16}
    for n in m.graph.node:
        for i,x in enumerate(n.input):
            if x in names: n.input[i]=x+'_32'
    nodes=casts+list(m.graph.node); del m.graph.node[:]; m.graph.node.extend(nodes)
    onnx.save_model(m,d+'/model.onnx',save_as_external_data=True,location='model.onnx.data',size_threshold=0)
torch_case('float16-weights',mlp(),mk1(64),['x'],(B,),tol=5e-3,post=tofp16)
# subgraph with external initializer (If)
def sub(name):
    from onnx import helper as h, TensorProto as T, numpy_helper as nh
    d=folder(name); w=np.arange(400,dtype=np.float32).reshape(100,4)
    x=h.make_tensor_value_info('x',T.FLOAT,['N',4]); y=h.make_tensor_value_info('y',T.FLOAT,['N',4])
    t=nh.from_array(w,'W')
    s1=h.make_graph([h.make_node('ReduceSum',['W'],['s'],keepdims=0),h.make_node('Add',['x','s'],['o1'])],'t',[],[h.make_tensor_value_info('o1',T.FLOAT,['N',4])],[t])
    s2=h.make_graph([h.make_node('Identity',['x'],['o2'])],'e',[],[h.make_tensor_value_info('o2',T.FLOAT,['N',4])])
    g=h.make_graph([h.make_node('ReduceSum',['x'],['sx'],keepdims=0),h.make_node('Greater',['sx','z'],['c']),h.make_node('If',['c'],['y'],then_branch=s1,else_branch=s2)],'g',[x],[y],[nh.from_array(np.float32(0),'z')])
    m=h.make_model(g,opset_imports=[h.make_opsetid('',17)],ir_version=8)
    onnx.save_model(m,d+'/model.onnx',save_as_external_data=True,location='model.onnx.data',size_threshold=64)
    a=np.ones((1,4),np.float32); b=-a
    finish(name,[(dict(x=a),dict(y=a+w.sum())),(dict(x=b),dict(y=b))])
    print(name,os.listdir(d),[len(t.external_data) for t in onnx.load(d+'/model.onnx',load_external_data=False).graph.node[2].attribute[1].g.initializer])
sub('subgraph')
# subfolder location
def subdir(d):
    m=onnx.load(d+'/model.onnx'); [os.remove(d+'/'+x) for x in os.listdir(d)]
    onnx.save_model(m,d+'/model.onnx',save_as_external_data=True,location='weights.bin',size_threshold=0)
    os.mkdir(d+'/parts'); os.rename(d+'/weights.bin',d+'/parts/weights.bin')
    m=onnx.load(d+'/model.onnx',load_external_data=False)
    for t in m.graph.initializer:
        for e in t.external_data:
            if e.key=='location': e.value='parts/weights.bin'
    open(d+'/model.onnx','wb').write(m.SerializeToString())
torch_case('in-subfolder',mlp(),mk1(64),['x'],(B,),post=subdir)
# a second variant with its own data file, sharing nothing
def variants(d):
    onnx.save_model(onnx.load(d+'/model.onnx'),d+'/model_fp16.onnx',save_as_external_data=True,location='model_fp16.onnx_data',size_threshold=0)
torch_case('two-variants',mlp(),mk1(64),['x'],(B,),hub=True,post=variants)
def shared(d): shutil.copy(d+'/model.onnx',d+'/model_b.onnx')
torch_case('shared-data',mlp(),mk1(64),['x'],(B,),post=shared)
def cs(d):
    m=onnx.load(d+'/model.onnx',load_external_data=False)
    for t in m.graph.initializer:
        if len(t.external_data): e=t.external_data.add(); e.key='checksum'; e.value='00'*20
    open(d+'/model.onnx','wb').write(m.SerializeToString())
torch_case('with-checksums',mlp(),mk1(64),['x'],(B,),post=cs)
