from hypothesis import given, settings, Phase, HealthCheck, strategies as st
from tests.test_twin import *
import collections
FOUND=collections.OrderedDict()
def test_collect(world):
    @settings(max_examples=int(os.environ.get("N","150")), deadline=None, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def inner(data):
        name = data.draw(st.sampled_from(sorted(world.askers)))
        purpose = data.draw(st.sampled_from(purposes_of(world.askers[name].role)))
        operation = data.draw(operations(world, asker_of(world, name, purpose)))
        try: agree_on(world,name,purpose,operation)
        except Exception as e:
            m=str(e); FOUND.setdefault(len(operation[0]), m)
    inner()
    for k in sorted(FOUND)[:4]: print(k, FOUND[k][:3500]); print("=======")
    print("FAILURES", len(FOUND))
    assert not FOUND
