# %% [markdown]
# # Flow matching in one loop
#
# fmcore as a library, without a recipe or a command: a path, data, a network, a training loop, then
# samples, likelihoods and a figure.  `examples/library.ipynb` is the same as a notebook;
# `python examples/library.py` runs in half a minute on a CPU.

# %%
import matplotlib.pyplot as plt
import torch

import fmcore

STEPS, BATCH, SAMPLES = 600, 512, 2048

# %% [markdown]
# ## The parts
#
# `fmcore.create(kind, name, ...)` builds any installed component; `fmcore plugins` lists them.
# `x0` is noise, `x1` is data, and time goes from 0 at the noise to 1 at the data.

# %%
path = fmcore.create("path", "ot", sigma_min=1e-4)
data = fmcore.create("data", "toy", figure="checkerboard")
objective = fmcore.create("objective", "flow_matching")
torch.manual_seed(0)  # only weights are drawn from torch's global generator
model = fmcore.create("model", "mlp", shape=data.shape, width=128, depth=4)

# %% [markdown]
# ## The loop
#
# For a pair (x0, x1) and a time t, the path gives the point xt and its velocity ut; the network is
# trained to predict ut at (xt, t).

# %%
random = fmcore.generator_for(0, "library")
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
losses = []
for step in range(STEPS):
    x1 = data.batch(torch.randint(data.length, (BATCH,), generator=random).tolist())["x1"]
    x0 = path.noise().sample(fmcore.Rows(0, "library", step, range(BATCH)), data.shape)
    t = path.t_min + (path.t_max - path.t_min) * objective.sample_time(BATCH, random)
    sample = path.sample(x0, x1, t)
    loss = objective.loss(path, sample, model(sample.xt, sample.t)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
tenth = STEPS // 10
print(f"mean loss of the last tenth: {sum(losses[-tenth:]) / tenth:.3f}")

# %% [markdown]
# ## Samples
#
# A solver integrates the field from noise to data.  `stats.nfe` is the number of evaluations of
# each sample, which differs between samples for an adaptive solver.

# %%
field = fmcore.Field(model.eval(), path, objective)
x0 = fmcore.noise_of(path.prior(), range(SAMPLES), data.shape, seed=0)
solver = fmcore.create("solver", "dopri5", rtol=1e-5, atol=1e-5)
solution = solver.solve(fmcore.Problem(field, x0, path=path))
nfe = solution.stats.nfe.float()
print(f"NFE: {nfe.mean():.1f} on average, from {nfe.min():.0f} to {nfe.max():.0f}")

# %% [markdown]
# ## Likelihood
#
# The same field, solved backwards from held-out data.  The entropy of the checkerboard, 3.68 nats,
# is the smallest value that a model can have on average.

# %%
test = data.with_split("test").batch(range(min(SAMPLES, 500)))["x1"]
result = fmcore.log_prob(field, test, path=path, divergence="exact")
print(f"negative log-likelihood: {-result.log_prob.mean():.3f} nats")

# %% [markdown]
# ## A figure

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
axes[0].plot(losses, linewidth=0.5)
axes[0].set(title="loss", xlabel="step")
for axis, points, title in ((axes[1], x0, "noise"), (axes[2], solution.x, "samples")):
    axis.scatter(*points.T, s=1, linewidths=0)
    axis.set(title=title, xlim=(-5, 5), ylim=(-5, 5), aspect="equal")
figure.savefig("library.png", dpi=150)
